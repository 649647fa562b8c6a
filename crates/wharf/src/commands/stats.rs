//! `stats`

use std::io::Read as _;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Deserializer, Value};

use super::Call;
use super::container::path;
use crate::engine::{Client, Query};
use crate::exit::{Exit, Outcome};
use crate::format::{Format, container};
use crate::{json, output};

/// How often the table is drawn anew: the engine sends figures once a second.
const REFRESH: Duration = Duration::from_millis(500);

/// One container on the screen.
struct Line {
    name: String,
    figures: Option<Value>,
    gone: bool,
}

/// `stats`
pub(crate) fn stats(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let client = call.client()?;
    let names = if call.args.is_empty() {
        let query = Query::new().when(flags.on("all"), "all", "1");
        let answer = client.get("/containers/json", &query)?;
        json::items(&answer).iter().map(|one| json::text(one, "Id").get(..12).unwrap_or_default().to_owned()).collect()
    } else {
        call.args.clone()
    };
    let format = match call.format("statsFormat").as_str() {
        "table" => container::STATS_TABLE.to_owned(),
        other => other.to_owned(),
    };
    let format = Format::parse(&format)?;
    let truncate = !flags.on("no-trunc");
    let stream = !flags.on("no-stream");
    let (sender, receiver) = mpsc::channel();
    for (index, name) in names.iter().enumerate() {
        let (client, name, sender) = (client.another(), name.clone(), sender.clone());
        thread::spawn(move || follow(&client, &name, index, stream, &sender));
    }
    drop(sender);
    let mut lines: Vec<Line> = names.into_iter().map(|name| Line { name, figures: None, gone: false }).collect();
    if stream {
        return live(&format, truncate, &mut lines, &receiver, call.args.is_empty());
    }
    let mut errors = Vec::new();
    for (index, figures) in receiver {
        match figures {
            Ok(figures) => lines[index].figures = Some(figures),
            Err(error) => {
                lines[index].gone = true;
                errors.push(error);
            }
        }
    }
    if !errors.is_empty() {
        return Err(Exit::error(errors.join(", ")));
    }
    output::out(&draw(&format, truncate, &lines)?);
    Ok(())
}

type Figures = (usize, Result<Value, String>);

fn follow(client: &Client, name: &str, index: usize, stream: bool, sender: &mpsc::Sender<Figures>) {
    let query = Query::new().with("stream", if stream { "1" } else { "0" });
    let body = match client.open(&path(name, "stats"), &query) {
        Ok((_, body)) => body,
        Err(error) => {
            let _ = sender.send((index, Err(error.to_string())));
            return;
        }
    };
    for figures in Deserializer::from_reader(body.take(u64::MAX)).into_iter::<Value>() {
        let Ok(figures) = figures else { return };
        if sender.send((index, Ok(figures))).is_err() {
            return;
        }
    }
    if stream {
        let _ = sender.send((index, Err(String::new())));
    }
}

fn draw(format: &Format, truncate: bool, lines: &[Line]) -> Result<String, Exit> {
    let shown = lines.iter().filter(|line| !line.gone);
    let rows: Vec<_> = shown.map(|line| container::stats(&line.name, line.figures.as_ref(), truncate)).collect();
    format.render(container::STATS_HEADINGS, &rows)
}

fn live(format: &Format, truncate: bool, lines: &mut [Line], receiver: &mpsc::Receiver<Figures>, all: bool) -> Outcome {
    let mut next = Instant::now() + REFRESH;
    loop {
        match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok((index, Ok(figures))) => lines[index].figures = Some(figures),
            Ok((index, Err(error))) => {
                if !error.is_empty() {
                    return Err(Exit::error(error));
                }
                lines[index].gone = true;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let text = draw(format, truncate, lines)?;
                let text = text.replace('\n', "\x1b[K\n");
                // home first, then what is left of the last picture goes
                output::out(&format!("\x1b[H{text}\x1b[J"));
                next = Instant::now() + REFRESH;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if !all && lines.iter().all(|line| line.gone) {
            return Ok(());
        }
    }
}
