//! The wire format as it was released: bytes that a keeper of another version sends or understands. A test that fails here
//! says that running containers would be lost at an upgrade; new fields go into an appended struct.

use std::fmt::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wharf_logs::{LogConfig, Rotation, Timestamp};
use wharf_shim::protocol::{
    Attach, AttachEnd, CloseStdin, Event, Exec, ExecState, Exit, ExitRecord, Failure, FdRole, Frame, FrameError,
    HEADER, Kind, Launch, Reply, Resize, Snapshot, Started, Target, Wire,
};

/// Encodes to exactly `expect` (header included) and comes back from it.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(kind: Kind, value: &T, expect: &str) {
    let bytes = Frame::encode(kind, 0x0102, value);
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    assert_eq!(hex, expect.replace(' ', ""), "{value:?}");
    let (read, in_memfd, seq) = Frame::header(&bytes).expect("a header");
    assert_eq!((read, in_memfd, seq), (kind, false, 0x0102));
    let frame = Frame { kind, seq, body: bytes[HEADER..].to_vec(), fds: Vec::new() };
    assert_eq!(&frame.decode::<T>().expect("a body"), value);
}

fn started() -> Started {
    Started { pid: 300, start_ticks: 5, at: Timestamp::from_nanos(64) }
}

fn exit() -> Exit {
    Exit { code: 137, signal: Some(9), at: Timestamp::from_nanos(1) }
}

fn attach(target: Target) -> Attach {
    Attach {
        id: 7,
        target,
        stdin: true,
        stdout: true,
        stderr: false,
        wire: Wire::Stdcopy,
        detach_keys: vec![1],
        input: b"hi".to_vec(),
    }
}

#[test]
fn requests() {
    let rotation = Rotation { max_size: Some(5), max_file: 2, compress: true };
    let log = LogConfig::JsonFile { path: "/l".into(), rotation, attrs: vec![("k".into(), "v".into())] };
    let launch = Launch {
        id: "c".into(),
        plan: vec![9],
        tty: true,
        open_stdin: false,
        stdin_once: true,
        shared_pid: false,
        log,
        run_dir: "/r".into(),
        exit_file: "/e".into(),
        attach: vec![attach(Target::Init)],
        fds: vec![
            FdRole::CgroupTasks,
            FdRole::CgroupDir,
            FdRole::Netns,
            FdRole::Attach,
            FdRole::Namespace(0x2000_0000),
        ],
    };
    check(
        Kind::Launch,
        &launch,
        "0101020101630109010001000102 2f6c 0105 02 01 01 016b 0176 022f72 022f65 01 07 00 01 01 00 01 0101 026869 05 00 01 02 03 0480808080 02",
    );
    check(Kind::Attach, &attach(Target::Exec("e".into())), "0102020107010165010100010101026869");
    let exec =
        Exec { id: "e".into(), plan: vec![9], tty: false, stdin: true, attach: None, fds: vec![FdRole::CgroupTasks] };
    check(Kind::Exec, &exec, "0103020101650109000100 0100");
    check(Kind::Resize, &Resize { target: Target::Init, width: 80, height: 24 }, "01040201005018");
    check(Kind::CloseStdin, &CloseStdin { target: Target::Init }, "0105020100");
    check(Kind::Query, &(), "01060201");
}

#[test]
fn answers() {
    check(Kind::Reply, &Reply::Done, "0107020100");
    check(Kind::Reply, &Reply::Started(started()), "0107020101ac02058001");
    let failures = [
        (Failure::NotFound("x".into()), "010702010200 0178"),
        (Failure::NotExecutable("x".into()), "010702010201 0178"),
        (Failure::Setup("x".into()), "010702010202 0178"),
        (Failure::NotRunning("x".into()), "010702010203 0178"),
        (Failure::NoTarget("x".into()), "010702010204 0178"),
        (Failure::Malformed("x".into()), "010702010205 0178"),
        (Failure::Unsupported, "010702010206"),
    ];
    for (failure, expect) in failures {
        check(Kind::Reply, &Reply::Failed(failure), expect);
    }
    let execs = vec![ExecState { id: "e".into(), process: started(), exit: Some(exit()) }];
    let snapshot = Snapshot { id: "c".into(), init: started(), exit: None, execs, attached: 2, log_lost: 1 };
    check(Kind::Snapshot, &snapshot, "010802010163ac02058001000101 65ac02058001 01920201 1202 02 01");
}

#[test]
fn events() {
    check(Kind::Event, &Event::Exited(exit()), "0109020100 9202 0112 02");
    let ended = Event::ExecExited { id: "e".into(), exit: Exit { signal: None, code: 0, ..exit() } };
    check(Kind::Event, &ended, "0109020101 0165 00 00 02");
    let reasons = [
        (AttachEnd::Finished, "00"),
        (AttachEnd::Detached, "01"),
        (AttachEnd::ClientClosed, "02"),
        (AttachEnd::TooSlow, "03"),
    ];
    for (reason, byte) in reasons {
        check(Kind::Event, &Event::AttachEnded { id: 5, reason }, &format!("010902010205{byte}"));
    }
}

#[test]
fn what_later_versions_append() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Addition {
        priority: u32,
    }
    let resize = Resize { target: Target::Init, width: 80, height: 24 };
    let old = Frame::encode(Kind::Resize, 1, &resize);
    let new = postcard::to_extend(&Addition { priority: 5 }, old.clone()).expect("it encodes");
    let frame = |bytes: &[u8]| Frame { kind: Kind::Resize, seq: 1, body: bytes[HEADER..].to_vec(), fds: Vec::new() };
    // an older peer reads the newer form, a newer peer both
    assert_eq!(frame(&new).decode::<Resize>(), Ok(resize.clone()));
    assert_eq!(frame(&new).addition::<Resize, Addition>(), Ok((resize.clone(), Addition { priority: 5 })));
    assert_eq!(frame(&old).addition::<Resize, Addition>(), Ok((resize, Addition::default())));
}

#[test]
fn what_is_no_frame() {
    assert_eq!(Frame::header(&[1, 2, 3]), Err(FrameError::Short));
    assert_eq!(Frame::header(&[2, 2, 0, 0]), Err(FrameError::Version(2)));
    assert_eq!(Frame::header(&[1, 77, 5, 0]), Ok((Kind::Unknown, false, 5)));
    assert_eq!(Frame::header(&[1, 0x81, 5, 0]), Ok((Kind::Launch, true, 5)));
    let frame = Frame { kind: Kind::Exec, seq: 1, body: vec![0xff; 20], fds: Vec::new() };
    assert_eq!(frame.decode::<Exec>(), Err(FrameError::Body));
}

#[test]
fn exit_records() {
    let record = ExitRecord { exit: exit(), log_lost: 3 };
    assert_eq!(record.encode(), "wharf-exit 1 137 9 1 3\n");
    assert_eq!(ExitRecord::decode(&record.encode()), Some(record));
    for torn in ["", "wharf-exit 1 137", "wharf-exit 1 137 9 1 3", "wharf-exit 2 1 1 1 1\n", "x\n"] {
        assert_eq!(ExitRecord::decode(torn), None, "{torn:?}");
    }
    let missing = PathBuf::from("/nonexistent/exit");
    assert!(matches!(ExitRecord::read(&missing), Ok(None)));
}
