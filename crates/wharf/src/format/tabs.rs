//! Columns: text with tabs laid out as Go's `text/tabwriter` does with a width of at least 10 and a gap of 3.

const MIN_WIDTH: usize = 10;
const GAP: usize = 3;

/// Aligns tab-separated cells. A column is a run of lines that all have a tab behind that cell.
pub(crate) fn align(text: &str) -> String {
    align_wide(text, MIN_WIDTH, GAP)
}

/// The same with another width and gap.
pub(crate) fn align_wide(text: &str, min: usize, gap: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut out = String::with_capacity(text.len() * 2);
    let mut widths = Vec::new();
    let layout = Layout { lines: &lines, min, gap };
    layout.block(0, lines.len(), &mut widths, &mut out);
    out.pop();
    out
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

struct Layout<'a> {
    lines: &'a [Vec<&'a str>],
    min: usize,
    gap: usize,
}

impl Layout<'_> {
    fn block(&self, from: usize, to: usize, widths: &mut Vec<usize>, out: &mut String) {
        let column = widths.len();
        let mut done = from;
        let mut at = from;
        while at < to {
            if column + 1 >= self.lines[at].len() {
                at += 1;
                continue;
            }
            self.print(done, at, widths, out);
            let start = at;
            let mut widest = self.min;
            while at < to && column + 1 < self.lines[at].len() {
                widest = widest.max(width(self.lines[at][column]) + self.gap);
                at += 1;
            }
            widths.push(widest);
            self.block(start, at, widths, out);
            widths.pop();
            done = at;
        }
        self.print(done, to, widths, out);
    }

    fn print(&self, from: usize, to: usize, widths: &[usize], out: &mut String) {
        for line in &self.lines[from..to] {
            for (column, cell) in line.iter().enumerate() {
                out.push_str(cell);
                if column + 1 < line.len() {
                    let room = widths.get(column).copied().unwrap_or(0);
                    out.extend(std::iter::repeat_n(' ', room.saturating_sub(width(cell))));
                }
            }
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        assert_eq!(align("A\tB\nlonger than ten\tx\n"), "A                 B\nlonger than ten   x\n");
        assert_eq!(align("A\tB\tC\n"), "A         B         C\n");
        assert_eq!(align("no tabs\n"), "no tabs\n");
        assert_eq!(align(""), "");
    }
}
