//! How fast a log is written and read: `throughput [folder] [megabytes]`, lines of 100 bytes.
//!
//! Prints seconds for: writing in batches of 64 KiB as a pipe gives them, reading joined frames, reading single frames, the
//! last 10 lines.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::time::Instant;

use wharf_logs::{Format, Framing, LogConfig, Progress, ReadOptions, Reader, Rotation, Stream, Timestamp, Writer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let megabytes: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let path = folder.join(format!("throughput-{}-json.log", std::process::id()));
    let config = LogConfig::JsonFile { path: path.clone(), rotation: Rotation::default(), attrs: Vec::new() };
    let line = format!("{}\n", "0123456789 abcdefghi".repeat(5).split_at(99).0);
    let text = line.repeat(64 * 1024 / line.len() + 1);
    let chunk = &text.as_bytes()[..64 * 1024];

    let start = Instant::now();
    let mut writer = Writer::open(&config)?;
    for _ in 0..megabytes * 1_000_000 / chunk.len() {
        writer.write(Stream::Stdout, chunk, Timestamp::now())?;
    }
    writer.finish(Stream::Stdout, Timestamp::now())?;
    println!("write   {:.3} s", start.elapsed().as_secs_f64());

    let all = ReadOptions { stdout: true, stderr: true, since: None, until: None, tail: None, follow: false };
    for (name, framing) in [("joined ", Framing::StdcopyJoined), ("single ", Framing::Stdcopy)] {
        let start = Instant::now();
        let mut reader = Reader::open(&config, all)?;
        let format = Format { framing, timestamps: false, details: false };
        let (mut out, mut bytes) = (Vec::new(), 0);
        while reader.fill(format, &mut out, 256 * 1024)? == Progress::Data {
            bytes += out.len();
            out.clear();
        }
        println!("{name} {:.3} s, {bytes} bytes", start.elapsed().as_secs_f64());
    }

    let start = Instant::now();
    let mut reader = Reader::open(&config, ReadOptions { tail: Some(10), ..all })?;
    let mut lines = 0;
    while reader.next_entry()?.is_some() {
        lines += 1;
    }
    println!("tail    {:.6} s, {lines} lines", start.elapsed().as_secs_f64());
    std::fs::remove_file(path)?;
    Ok(())
}
