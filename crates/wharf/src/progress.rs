//! The messages of `pull`, `push`, `load` and `import` as they come.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use serde_json::{Deserializer, Value};

use crate::exit::{Exit, Outcome};
use crate::{human, json, output, terminal};

/// Shows the stream on standard output; an error in it ends it.
pub(crate) fn show(source: impl Read) -> Outcome {
    print(source, output::is_terminal(), output::out)
}

/// The same on standard error: standard output belongs to the container that is about to run.
pub(crate) fn show_on_stderr(source: impl Read) -> Outcome {
    print(source, std::io::IsTerminal::is_terminal(&std::io::stderr()), output::err)
}

fn print(source: impl Read, terminal: bool, out: fn(&str)) -> Outcome {
    let mut screen = Screen { terminal, width: terminal::size().1, lines: BTreeMap::new() };
    for message in Deserializer::from_reader(source).into_iter::<Value>() {
        let message = message.map_err(|error| Exit::error(error.to_string()))?;
        if let Some(text) = error_of(&message) {
            return Err(Exit::error(text));
        }
        out(&screen.message(&message));
    }
    Ok(())
}

/// Reads the stream to its end without showing anything.
pub(crate) fn swallow(source: impl Read) -> Outcome {
    for message in Deserializer::from_reader(source).into_iter::<Value>() {
        let message = message.map_err(|error| Exit::error(error.to_string()))?;
        if let Some(text) = error_of(&message) {
            return Err(Exit::error(text));
        }
    }
    Ok(())
}

fn error_of(message: &Value) -> Option<String> {
    if let Some(detail) = message.get("errorDetail") {
        let text = json::text(detail, "message");
        return Some(if json::int(detail, "code") == 401 {
            "authentication is required".into()
        } else {
            text.to_owned()
        });
    }
    message.get("error").and_then(Value::as_str).map(str::to_owned)
}

/// Lines that change in place, one per layer.
struct Screen {
    terminal: bool,
    width: u16,
    lines: BTreeMap<String, usize>,
}

impl Screen {
    fn message(&mut self, message: &Value) -> String {
        let id = json::text(message, "id");
        let progress = message.get("progressDetail").filter(|progress| progress.is_object());
        let mut out = String::new();
        let mut up = 0;
        if !id.is_empty() && progress.is_some() {
            let count = self.lines.len();
            let line = *self.lines.entry(id.to_owned()).or_insert_with(|| {
                if self.terminal {
                    out.push('\n');
                }
                count
            });
            up = self.lines.len() - line;
            if self.terminal {
                _ = write!(out, "\x1b[{up}A");
            }
        } else {
            self.lines.clear();
        }
        self.display(message, id, progress, &mut out);
        if !id.is_empty() && self.terminal && up > 0 {
            _ = write!(out, "\x1b[{up}B");
        }
        out
    }

    fn display(&self, message: &Value, id: &str, progress: Option<&Value>, out: &mut String) {
        let bar = progress.map(|progress| self.bar(progress)).unwrap_or_default();
        let stream = json::text(message, "stream");
        let mut end = "";
        if self.terminal && stream.is_empty() && progress.is_some() {
            out.push_str("\x1b[2K\r");
            end = "\r";
        } else if !bar.is_empty() {
            return;
        }
        if !id.is_empty() {
            _ = write!(out, "{id}: ");
        }
        let from = json::text(message, "from");
        if !from.is_empty() {
            _ = write!(out, "(from {from}) ");
        }
        let status = json::text(message, "status");
        if progress.is_some() && self.terminal {
            _ = write!(out, "{status} {bar}{end}");
        } else if !stream.is_empty() {
            _ = write!(out, "{stream}{end}");
        } else {
            _ = writeln!(out, "{status}{end}");
        }
    }

    fn bar(&self, progress: &Value) -> String {
        let (current, total) = (json::int(progress, "current"), json::int(progress, "total"));
        let units = json::text(progress, "units");
        if current <= 0 && total <= 0 {
            return String::new();
        }
        if total <= 0 {
            return match units {
                "" => format!("{:>8}", human::size(current as f64)),
                units => format!("{current} {units}"),
            };
        }
        let filled = ((current as f64 / total as f64 * 100.0) as usize / 2).min(50);
        let width = if self.width == 0 { 200 } else { self.width };
        let mut out = String::new();
        if width > 110 {
            _ = write!(out, "[{}>{}] ", "=".repeat(filled), " ".repeat(50 - filled));
        }
        if json::truth(progress, "hidecounts") {
            return out;
        }
        match units {
            "" if current > total => _ = write!(out, "{:>8}", human::size(current as f64)),
            "" => _ = write!(out, "{:>8}/{}", human::size(current as f64), human::size(total as f64)),
            units if current > total => _ = write!(out, "{current} {units}"),
            units => _ = write!(out, "{current}/{total} {units}"),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show_all(terminal: bool) -> String {
        let mut screen = Screen { terminal, width: 120, lines: BTreeMap::new() };
        let messages = [
            r#"{"status":"Pulling from x","id":"latest"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"abc"}"#,
            r#"{"status":"Pull complete","progressDetail":{},"id":"abc"}"#,
            r#"{"stream":"Loaded image: x\n"}"#,
        ];
        messages.iter().map(|text| screen.message(&serde_json::from_str(text).expect("JSON"))).collect()
    }

    #[test]
    fn without_a_terminal_only_the_milestones() {
        assert_eq!(show_all(false), "latest: Pulling from x\nabc: Pull complete\nLoaded image: x\n");
    }

    #[test]
    fn on_a_terminal_lines_change_in_place() {
        let bar = format!("[{}>{}]       5B/10B", "=".repeat(25), " ".repeat(25));
        let up = "\x1b[1A\x1b[2K\r";
        let expect = format!(
            "latest: Pulling from x\n\n{up}abc: Downloading {bar}\r\x1b[1B{up}abc: Pull complete \r\x1b[1BLoaded image: x\n"
        );
        assert_eq!(show_all(true), expect);
    }
}
