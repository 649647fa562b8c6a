//! Writer and reader against real files: rotation, compression, tails, spans of time, followers.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use wharf_logs::{
    Error, Format, Framing, LogConfig, Progress, ReadOptions, Reader, Rotation, Stream, Timestamp, Writer,
};

const ALL: ReadOptions =
    ReadOptions { stdout: true, stderr: true, since: None, until: None, tail: None, follow: false };

struct Log {
    _folder: tempfile::TempDir,
    path: PathBuf,
    config: LogConfig,
}

fn log(rotation: Rotation) -> Log {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x-json.log");
    let config = LogConfig::JsonFile { path: path.clone(), rotation, attrs: Vec::new() };
    Log { _folder: folder, path, config }
}

fn local(rotation: Rotation) -> Log {
    let mut log = log(rotation);
    log.path.set_file_name("container.log");
    log.config = LogConfig::Local { path: log.path.clone(), rotation };
    log
}

/// A log of each driver that keeps files; files of a few lines each.
fn both(max_file: u32, compress: bool) -> [Log; 2] {
    [log(small(max_file, compress)), local(Rotation { max_size: Some(200), ..small(max_file, compress) })]
}

impl Log {
    fn writer(&self) -> Writer {
        Writer::open(&self.config).expect("the log opens")
    }

    fn read(&self, options: ReadOptions) -> Vec<String> {
        let mut reader = Reader::open(&self.config, options).expect("the log opens");
        let mut lines = Vec::new();
        while let Some(entry) = reader.next_entry().expect("the log reads") {
            lines.push(String::from_utf8_lossy(entry.line).into_owned());
        }
        lines
    }

    fn names(&self) -> Vec<String> {
        let folder = self.path.parent().expect("a folder");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder lists")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Writes `line <number>` for each number, one second apart, and compresses what is handed out.
fn write(writer: &mut Writer, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let line = format!("line {number}\n");
        writer.write(Stream::Stdout, line.as_bytes(), at(number)).expect("the disk has room");
        if let Some(compression) = writer.compression() {
            compression.run().expect("it compresses");
            writer.compressed();
        }
    }
}

fn at(number: i64) -> Timestamp {
    Timestamp::from_nanos(number * 1_000_000_000)
}

fn lines(numbers: impl IntoIterator<Item = i64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("line {number}\n")).collect()
}

fn small(max_file: u32, compress: bool) -> Rotation {
    Rotation { max_size: Some(400), max_file, compress }
}

#[test]
fn what_is_written_is_read() {
    let log = log(Rotation::default());
    let mut writer = log.writer();
    writer.write(Stream::Stdout, b"a\nb", at(1)).expect("write");
    writer.write(Stream::Stderr, b"oops\n", at(2)).expect("write");
    writer.write(Stream::Stdout, b"c\nlast", at(3)).expect("write");
    writer.finish(Stream::Stdout, at(4)).expect("finish");
    assert_eq!(log.read(ALL), ["a\n", "oops\n", "bc\n", "last"]);
    assert_eq!(log.read(ReadOptions { stderr: false, ..ALL }), ["a\n", "bc\n", "last"]);
    assert_eq!(log.read(ReadOptions { stdout: false, ..ALL }), ["oops\n"]);
    let text = std::fs::read_to_string(&log.path).expect("the file");
    assert!(text.starts_with("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01Z\"}\n"), "{text}");
}

#[test]
fn rotation_keeps_so_many_files() {
    let log = log(small(3, false));
    write(&mut log.writer(), 0..30);
    assert_eq!(log.names(), ["x-json.log", "x-json.log.1", "x-json.log.2"]);
    // 77 or 78 bytes a line: a file takes its sixth line although it then exceeds 400 bytes
    let read = log.read(ALL);
    assert_eq!(read.last().map(String::as_str), Some("line 29\n"));
    assert_eq!(read, lines(30 - read.len() as i64..30));
    assert!(read.len() > 12, "{}", read.len());
}

#[test]
fn a_single_file_drops_its_content() {
    let log = log(small(1, false));
    write(&mut log.writer(), 0..14);
    assert_eq!(log.names(), ["x-json.log"]);
    assert_eq!(log.read(ALL), lines(12..14));
}

#[test]
fn compressed_files_read_like_others() {
    let log = log(small(4, true));
    write(&mut log.writer(), 0..24);
    assert_eq!(log.names(), ["x-json.log", "x-json.log.1.gz", "x-json.log.2.gz", "x-json.log.3.gz"]);
    assert_eq!(log.read(ALL), lines(0..24));
}

#[test]
fn tails_over_plain_and_compressed_files() {
    for log in both(30, false).into_iter().chain(both(30, true)) {
        write(&mut log.writer(), 0..40);
        assert!(log.names().len() > 3, "{:?}", log.names());
        assert_eq!(log.read(ALL), lines(0..40));
        for tail in 0..45 {
            let expect = lines((40 - tail as i64).max(0)..40);
            assert_eq!(log.read(ReadOptions { tail: Some(tail), ..ALL }), expect, "tail {tail} of {:?}", log.path);
        }
    }
}

#[test]
fn pieces_of_long_lines_come_back_in_both_drivers() {
    let long = format!("{}\n", "x".repeat(40_000));
    for log in [log(Rotation::default()), local(Rotation::default())] {
        let mut writer = log.writer();
        writer.write(Stream::Stderr, long.as_bytes(), at(1)).expect("write");
        writer.write(Stream::Stderr, b"open", at(2)).expect("write");
        writer.finish(Stream::Stderr, at(3)).expect("finish");
        let read = log.read(ALL);
        assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), [16_384, 16_384, 7_233, 4]);
        assert_eq!(read.concat(), format!("{long}open"));
    }
}

#[test]
fn a_torn_entry_of_the_local_driver_is_cut_off() {
    let log = local(Rotation::default());
    write(&mut log.writer(), 0..3);
    let whole = std::fs::read(&log.path).expect("the file");
    for torn in [1, 3, 9, 20, 25] {
        std::fs::write(&log.path, &whole[..whole.len() - torn]).expect("the file is writable");
        assert_eq!(log.read(ALL), lines(0..2), "before it is repaired");
        write(&mut log.writer(), 3..5);
        assert_eq!(log.read(ALL), lines([0, 1, 3, 4]));
        assert_eq!(log.read(ReadOptions { tail: Some(3), ..ALL }), lines([1, 3, 4]));
    }
    std::fs::write(&log.path, b"\xff\xff\xff\xffrubbish").expect("the file is writable");
    assert_eq!(log.read(ALL), lines([]));
}

#[test]
fn a_tail_of_a_large_file_finds_its_place_across_blocks() {
    let log = log(Rotation::default());
    let mut writer = log.writer();
    let many: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    writer.write(Stream::Stdout, many.as_bytes(), at(1)).expect("write");
    for tail in [1, 799, 800, 801, 1700, 4999, 5000, 6000] {
        let expect = lines((5000 - tail as i64).max(0)..5000);
        assert_eq!(log.read(ReadOptions { tail: Some(tail), ..ALL }), expect, "tail {tail}");
    }
}

#[test]
fn spans_of_time() {
    let log = log(small(10, true));
    write(&mut log.writer(), 0..20);
    let span = |since: Option<i64>, until: Option<i64>| {
        log.read(ReadOptions { since: since.map(at), until: until.map(at), ..ALL })
    };
    assert_eq!(span(Some(5), Some(7)), lines(5..=7));
    assert_eq!(span(Some(18), None), lines(18..20));
    assert_eq!(span(None, Some(1)), lines(0..=1));
    assert_eq!(span(Some(50), None), lines([]));
    // the tail is taken first, as Docker does
    assert_eq!(log.read(ReadOptions { since: Some(at(18)), tail: Some(1), ..ALL }), lines([19]));
    assert_eq!(log.read(ReadOptions { until: Some(at(18)), tail: Some(1), ..ALL }), lines([]));
}

#[test]
fn a_torn_line_costs_itself_only() {
    let log = log(Rotation::default());
    write(&mut log.writer(), 0..2);
    let mut text = std::fs::read(&log.path).expect("the file");
    text.truncate(text.len() - 20);
    std::fs::write(&log.path, text).expect("the file is writable");
    write(&mut log.writer(), 2..4);
    assert_eq!(log.read(ALL), lines([0, 2, 3]));
}

#[test]
fn rotation_waits_for_a_compression_that_is_under_way() {
    let log = log(small(3, true));
    let mut writer = log.writer();
    let mut handed_out = Vec::new();
    for number in 0..20 {
        writer.write(Stream::Stdout, format!("line {number}\n").as_bytes(), at(number)).expect("write");
        handed_out.extend(writer.compression());
    }
    assert_eq!(handed_out.len(), 1);
    assert_eq!(log.read(ALL), lines(0..20));
    handed_out[0].run().expect("it compresses");
    writer.compressed();
    assert_eq!(log.read(ALL), lines(0..20));
    write(&mut writer, 20..21);
    assert_eq!(log.names(), ["x-json.log", "x-json.log.1.gz", "x-json.log.2.gz"]);
    assert_eq!(log.read(ALL), lines(0..21));
}

#[test]
fn a_log_that_was_never_written_is_empty() {
    let log = log(Rotation::default());
    assert_eq!(log.read(ALL), lines([]));
    assert_eq!(log.read(ReadOptions { tail: Some(5), ..ALL }), lines([]));
    assert!(matches!(Reader::open(&LogConfig::None, ALL), Err(Error::NotReadable)));
}

#[test]
fn frames_joined_and_single() {
    let log = log(Rotation::default());
    let mut writer = log.writer();
    let many: String = (0..2000).map(|number| format!("line {number:04}\n")).collect();
    writer.write(Stream::Stdout, many.as_bytes(), at(1)).expect("write");
    writer.write(Stream::Stderr, b"end\n", at(2)).expect("write");
    for framing in [Framing::Stdcopy, Framing::StdcopyJoined] {
        let format = Format { framing, timestamps: false, details: false };
        let mut reader = Reader::open(&log.config, ALL).expect("the log opens");
        let mut bytes = Vec::new();
        while reader.fill(format, &mut bytes, 1 << 16).expect("the log reads") == Progress::Data {
            let end = bytes.len() + (1 << 16);
            assert!(end < 1 << 20);
            bytes.reserve(1 << 16);
            if reader.fill(format, &mut bytes, end).expect("the log reads") == Progress::End {
                break;
            }
        }
        let (mut out, mut err, mut frames) = (Vec::new(), Vec::new(), 0);
        let mut rest = &bytes[..];
        while let [stream, 0, 0, 0, a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            assert!(length <= 32 * 1024);
            if *stream == 1 { &mut out } else { &mut err }.extend_from_slice(&after[..length]);
            rest = &after[length..];
            frames += 1;
        }
        assert_eq!((rest.len(), out.as_slice(), err.as_slice()), (0, many.as_bytes(), &b"end\n"[..]));
        assert_eq!(frames > 100, framing == Framing::Stdcopy, "{frames}");
    }
}

/// A follower in a thread of its own, which sends what it reads.
fn follow(config: &LogConfig, options: ReadOptions) -> (mpsc::Receiver<String>, wharf_logs::StopHandle) {
    let mut reader = Reader::open(config, ReadOptions { follow: true, ..options }).expect("the log opens");
    let stop = reader.stop_handle();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(Some(entry)) = reader.next_entry() {
            if sender.send(String::from_utf8_lossy(entry.line).into_owned()).is_err() {
                return;
            }
        }
    });
    (receiver, stop)
}

#[test]
fn a_follower_sees_every_line_of_rotated_files() {
    let kinds = [(2, false), (50, false), (50, true), (1, false)];
    for log in kinds.into_iter().flat_map(|(max_file, compress)| both(max_file, compress)) {
        let mut writer = log.writer();
        write(&mut writer, 0..3);
        let (received, stop) = follow(&log.config, ALL);
        let mut next = 0;
        for number in 3..200 {
            write(&mut writer, number..number + 1);
            // in step with the writer, so that no file is removed before it was read
            while next <= number {
                assert_eq!(received.recv().expect("a line"), format!("line {next}\n"), "{:?}", log.config);
                next += 1;
            }
        }
        write(&mut writer, 200..203);
        stop.finish();
        assert_eq!(received.iter().collect::<Vec<_>>(), lines(200..203));
    }
}

#[test]
fn a_follower_behind_a_fast_writer_loses_nothing_that_is_kept() {
    for log in both(1000, true) {
        let mut writer = log.writer();
        let (received, stop) = follow(&log.config, ALL);
        write(&mut writer, 0..600);
        stop.finish();
        assert_eq!(received.iter().collect::<Vec<_>>(), lines(0..600));
    }
}

#[test]
fn a_follower_begins_before_the_log_exists() {
    let log = log(Rotation::default());
    let (received, stop) = follow(&log.config, ReadOptions { tail: Some(0), ..ALL });
    write(&mut log.writer(), 0..2);
    assert_eq!(received.recv().expect("a line"), "line 0\n");
    assert_eq!(received.recv().expect("a line"), "line 1\n");
    stop.stop();
    assert!(received.recv().is_err());
}

#[test]
fn a_follower_ends_at_its_last_moment() {
    let log = log(Rotation::default());
    let mut writer = log.writer();
    let (received, _stop) = follow(&log.config, ReadOptions { until: Some(at(4)), ..ALL });
    write(&mut writer, 0..10);
    assert_eq!(received.iter().collect::<Vec<_>>(), lines(0..=4));
}

#[test]
fn a_log_that_is_cut_off_by_hand_goes_on() {
    let log = log(Rotation::default());
    let mut writer = log.writer();
    let (received, stop) = follow(&log.config, ALL);
    write(&mut writer, 0..5);
    assert_eq!(received.iter().take(5).collect::<Vec<_>>(), lines(0..5));
    truncate(&log.path);
    write(&mut writer, 5..6);
    assert_eq!(received.recv().expect("a line"), "line 5\n");
    stop.finish();
    assert!(received.recv().is_err());
}

fn truncate(path: &Path) {
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(0)).expect("it is cut off");
}
