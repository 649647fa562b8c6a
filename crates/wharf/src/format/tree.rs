//! `images --tree`: one block per image, its names above each other, the platforms that are here below.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::short_id;
use crate::{human, json};

/// Columns after the names: heading and whether figures stand on the right.
const COLUMNS: [(&str, bool); 4] = [("ID", false), ("DISK USAGE", true), ("CONTENT SIZE", true), ("EXTRA", false)];
/// Blanks between two columns.
const GAP: usize = 3;
/// Width of an identifier.
const ID: usize = 12;

struct Line {
    name: String,
    /// Absent where only a name stands.
    cells: Option<[String; 4]>,
}

/// The whole text; `color` as on a terminal of `width` columns.
pub(crate) fn tree(images: &[&Json], width: usize, color: bool) -> String {
    let lines: Vec<Line> = images.iter().flat_map(|image| block(image)).collect();
    let longest = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).max("IMAGE".len());
    let mut out = String::new();
    let legend = "Info ->  U In Use ";
    let _ = writeln!(out, "{legend:>width$}\n");
    let heading = |text: &str| if color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.chars().count()));
    let _ = write!(out, "{}{}", heading("IMAGE"), pad("IMAGE", longest));
    for (title, _) in COLUMNS {
        let _ = write!(out, "{}{}{}", " ".repeat(GAP), heading(title), pad(title, size(title)));
    }
    trim(&mut out);
    for line in &lines {
        out.push_str(&line.name);
        if let Some(cells) = &line.cells {
            out.push_str(&pad(&line.name, longest));
            for ((title, right), cell) in COLUMNS.iter().zip(cells) {
                let blanks = pad(cell, size(title));
                let _ = match right {
                    true => write!(out, "{}{blanks}{cell}", " ".repeat(GAP)),
                    false => write!(out, "{}{cell}{blanks}", " ".repeat(GAP)),
                };
            }
        }
        trim(&mut out);
    }
    out
}

fn size(title: &str) -> usize {
    if title == "ID" { ID } else { title.len() }
}

fn trim(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn block(image: &Json) -> Vec<Line> {
    let mut names: Vec<String> = json::strings(image, "RepoTags").into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        names.push("<untagged>".into());
    }
    let used = json::int(image, "Containers") > 0;
    let usage = human::size3(json::int(image, "Size") as f64);
    let cells = |id: &str, usage: String, content: i64, used: bool| {
        Some([
            short_id(id).to_owned(),
            usage,
            human::size3(content as f64),
            if used { " U".into() } else { String::new() },
        ])
    };
    let last = names.len() - 1;
    let mut lines: Vec<Line> = names.into_iter().map(|name| Line { name, cells: None }).collect();
    lines[last].cells = cells(json::text(image, "Id"), usage, 0, used);
    let children: Vec<&Json> = json::list(image, "Manifests").iter().collect();
    for (n, child) in children.iter().enumerate() {
        let data = child.get("ImageData").unwrap_or(&Json::Null);
        let platform = data.get("Platform").unwrap_or(&Json::Null);
        let text = ["os", "architecture", "variant"].map(|key| json::text(platform, key));
        let text = text.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let branch = if n + 1 == children.len() { "└─" } else { "├─" };
        let sizes = child.get("Size").unwrap_or(&Json::Null);
        let usage = human::size3(json::int(sizes, "Total") as f64);
        let used = !json::list(data, "Containers").is_empty();
        lines.push(Line {
            name: format!("{branch} {text}"),
            cells: cells(json::text(child, "ID"), usage, json::int(sizes, "Content"), used),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_above_each_other() {
        let images = serde_json::json!([
            {"Id": "sha256:3f5562600b8cffffffff", "RepoTags": ["fb-a:1", "fb-a:2"], "Size": 1984172, "Containers": 1},
            {"Id": "sha256:4f836b7c9a1e00000000", "RepoTags": [], "Size": 28, "Containers": -1},
        ]);
        let images: Vec<&Json> = images.as_array().expect("a list").iter().collect();
        let expect = "                      Info ->  U In Use \n\n\
            IMAGE        ID             DISK USAGE   CONTENT SIZE   EXTRA\n\
            fb-a:1\n\
            fb-a:2       3f5562600b8c       1.98MB             0B    U\n\
            <untagged>   4f836b7c9a1e          28B             0B\n";
        assert_eq!(tree(&images, 40, false), expect);
    }
}
