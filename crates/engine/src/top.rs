//! `docker top`: what `ps` would print about a container's processes, read from `/proc` by ourselves.
//!
//! Understood: `-e -f -F -l -u -w` in any mix, BSD `aux`/`axu`/`ux`…, `-o`/`o`/`--format` with the usual columns (`name=Title` too).

use std::collections::HashMap;
use std::fs;

use jiff::{Timestamp, tz::TimeZone};

use crate::{Error, Result, Top};

/// One column that we can fill.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    title: String,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    User,
    Uid,
    Group,
    Gid,
    Pid,
    Ppid,
    Pgid,
    Sid,
    Tty,
    State,
    Stat,
    Cpu,
    CpuInt,
    Mem,
    Vsz,
    Rss,
    Start,
    LongStart,
    Elapsed,
    Time,
    BsdTime,
    Args,
    Comm,
    Nice,
    Priority,
    Threads,
    Wchan,
}

/// Columns by `ps -o` name, with their default titles.
const NAMES: &[(&str, &str, Value)] = &[
    ("user", "USER", Value::User),
    ("euser", "EUSER", Value::User),
    ("ruser", "RUSER", Value::User),
    ("uname", "USER", Value::User),
    ("uid", "UID", Value::Uid),
    ("euid", "EUID", Value::Uid),
    ("ruid", "RUID", Value::Uid),
    ("group", "GROUP", Value::Group),
    ("egroup", "EGROUP", Value::Group),
    ("gid", "GID", Value::Gid),
    ("egid", "EGID", Value::Gid),
    ("pid", "PID", Value::Pid),
    ("tgid", "TGID", Value::Pid),
    ("ppid", "PPID", Value::Ppid),
    ("pgid", "PGID", Value::Pgid),
    ("pgrp", "PGRP", Value::Pgid),
    ("sid", "SID", Value::Sid),
    ("sess", "SESS", Value::Sid),
    ("session", "SESS", Value::Sid),
    ("tty", "TT", Value::Tty),
    ("tt", "TT", Value::Tty),
    ("tname", "TTY", Value::Tty),
    ("s", "S", Value::State),
    ("state", "S", Value::State),
    ("stat", "STAT", Value::Stat),
    ("pcpu", "%CPU", Value::Cpu),
    ("%cpu", "%CPU", Value::Cpu),
    ("c", "C", Value::CpuInt),
    ("pmem", "%MEM", Value::Mem),
    ("%mem", "%MEM", Value::Mem),
    ("vsz", "VSZ", Value::Vsz),
    ("vsize", "VSZ", Value::Vsz),
    ("rss", "RSS", Value::Rss),
    ("rssize", "RSS", Value::Rss),
    ("stime", "STIME", Value::Start),
    ("start_time", "START", Value::Start),
    ("start", "STARTED", Value::Start),
    ("lstart", "STARTED", Value::LongStart),
    ("etime", "ELAPSED", Value::Elapsed),
    ("time", "TIME", Value::Time),
    ("cputime", "TIME", Value::Time),
    ("bsdtime", "TIME", Value::BsdTime),
    ("args", "COMMAND", Value::Args),
    ("cmd", "CMD", Value::Args),
    ("command", "COMMAND", Value::Args),
    ("comm", "COMMAND", Value::Comm),
    ("ucmd", "CMD", Value::Comm),
    ("ucomm", "COMMAND", Value::Comm),
    ("ni", "NI", Value::Nice),
    ("nice", "NI", Value::Nice),
    ("pri", "PRI", Value::Priority),
    ("nlwp", "NLWP", Value::Threads),
    ("thcount", "THCNT", Value::Threads),
    ("wchan", "WCHAN", Value::Wchan),
];

const FULL: &[(&str, Value)] = &[
    ("UID", Value::User),
    ("PID", Value::Pid),
    ("PPID", Value::Ppid),
    ("C", Value::CpuInt),
    ("STIME", Value::Start),
    ("TTY", Value::Tty),
    ("TIME", Value::Time),
    ("CMD", Value::Args),
];
const BSD_USER: &[(&str, Value)] = &[
    ("USER", Value::User),
    ("PID", Value::Pid),
    ("%CPU", Value::Cpu),
    ("%MEM", Value::Mem),
    ("VSZ", Value::Vsz),
    ("RSS", Value::Rss),
    ("TTY", Value::Tty),
    ("STAT", Value::Stat),
    ("START", Value::Start),
    ("TIME", Value::BsdTime),
    ("COMMAND", Value::Args),
];
const SHORT: &[(&str, Value)] =
    &[("PID", Value::Pid), ("TTY", Value::Tty), ("TIME", Value::Time), ("CMD", Value::Comm)];
const BSD_SHORT: &[(&str, Value)] = &[
    ("PID", Value::Pid),
    ("TTY", Value::Tty),
    ("STAT", Value::Stat),
    ("TIME", Value::BsdTime),
    ("COMMAND", Value::Args),
];

/// The table of the processes `pids`.
pub(crate) fn top(pids: &[u32], ps_args: &str) -> Result<Top> {
    let columns = plan(ps_args)?;
    let machine = Machine::read()?;
    let mut pids = pids.to_vec();
    pids.sort_unstable();
    let processes = pids
        .iter()
        .filter_map(|&pid| Process::read(pid))
        .map(|process| columns.iter().map(|c| process.show(c.value, &machine)).collect())
        .collect();
    Ok(Top { titles: columns.into_iter().map(|c| c.title).collect(), processes })
}

/// Which columns these arguments ask for.
fn plan(ps_args: &str) -> Result<Vec<Column>> {
    let refuse = |why: &str| Err(Error::System(format!("ps: error: {why}")));
    let mut columns: Vec<Column> = Vec::new();
    let mut preset = None;
    let mut words = ps_args.split_ascii_whitespace();
    if ps_args.trim().is_empty() {
        preset = Some(FULL);
    }
    while let Some(word) = words.next() {
        if let Some(list) = word.strip_prefix("--format") {
            let list = list.strip_prefix('=').or_else(|| words.next());
            add(&mut columns, list.unwrap_or_default())?;
            continue;
        }
        if matches!(word, "--forest" | "--no-headers" | "--cumulative") {
            continue;
        }
        let (dashed, letters) = word.strip_prefix('-').map_or((false, word), |w| (true, w));
        for (at, letter) in letters.char_indices() {
            match (letter, dashed) {
                ('o', _) => {
                    let rest = &letters[at + 1..];
                    let list = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
                    add(&mut columns, list)?;
                    break;
                }
                ('f' | 'F', true) => preset = Some(FULL),
                ('u', false) => preset = Some(BSD_USER),
                ('e' | 'A' | 'a' | 'd' | 'w' | 'H' | 'y', true) => preset = preset.or(Some(SHORT)),
                ('a' | 'x' | 'w' | 'f' | 'e' | 'c', false) => preset = preset.or(Some(BSD_SHORT)),
                (_, true) => return refuse("unsupported SysV option"),
                (_, false) => return refuse("unsupported option (BSD syntax)"),
            }
        }
    }
    if columns.is_empty() {
        let preset = preset.unwrap_or(FULL);
        columns = preset.iter().map(|&(title, value)| Column { title: title.into(), value }).collect();
    }
    if !columns.iter().any(|c| c.value == Value::Pid) {
        return Err(Error::System("Couldn't find PID field in ps output".into()));
    }
    Ok(columns)
}

/// Adds the columns of one `-o` list: `pid,user=Who,comm`.
fn add(columns: &mut Vec<Column>, list: &str) -> Result<()> {
    for item in list.split(',') {
        let (name, title) = item.split_once('=').map_or((item, None), |(n, t)| (n, Some(t)));
        let Some((_, default, value)) = NAMES.iter().find(|(n, ..)| *n == name) else {
            return Err(Error::System(
                "ps: error: unknown user-defined format specifier".to_owned() + &format!(" \"{name}\""),
            ));
        };
        columns.push(Column { title: title.unwrap_or(default).to_owned(), value: *value });
    }
    Ok(())
}

/// What is the same for all rows.
struct Machine {
    ticks: u64,
    page_kib: u64,
    boot: Timestamp,
    uptime: f64,
    memory_kib: u64,
    zone: TimeZone,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Machine {
    fn read() -> Result<Machine> {
        let read = |path: &str| fs::read_to_string(path).map_err(|e| Error::system(format!("read `{path}`"), e));
        let uptime: f64 = read("/proc/uptime")?.split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(0.0);
        let memory = read("/proc/meminfo")?;
        let memory_kib = memory.split_ascii_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1);
        let seconds = jiff::SignedDuration::try_from_secs_f64(uptime).unwrap_or_default();
        Ok(Machine {
            ticks: rustix::param::clock_ticks_per_second().max(1),
            page_kib: rustix::param::page_size() as u64 / 1024,
            boot: Timestamp::now().checked_sub(seconds).unwrap_or(Timestamp::UNIX_EPOCH),
            uptime,
            memory_kib,
            zone: TimeZone::UTC,
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
        })
    }
}

/// Number to name of `/etc/passwd` or `/etc/group`.
fn names(path: &str) -> HashMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.clone().nth(2)?.parse().ok()?, fields.next()?.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// One process, as `/proc/<pid>` shows it (proc(5)).
struct Process {
    pid: u32,
    comm: String,
    args: String,
    uid: u32,
    gid: u32,
    /// Fields of `stat` after the command, the first being the state.
    stat: Vec<String>,
    locked: bool,
}

impl Process {
    fn read(pid: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        // the command may hold spaces and parentheses: it ends at the last one
        let (head, tail) = stat.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let line = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
        let effective = |key: &str| line(key).split_ascii_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let words: Vec<_> = cmdline.split(|&b| b == 0).map(String::from_utf8_lossy).collect();
        let args = words.join(" ").trim_end().to_owned();
        Some(Process {
            pid,
            args: if args.is_empty() { format!("[{comm}]") } else { args },
            comm,
            uid: effective("Uid:"),
            gid: effective("Gid:"),
            stat: tail.split_ascii_whitespace().map(str::to_owned).collect(),
            locked: line("VmLck:").split_ascii_whitespace().next().is_some_and(|s| s != "0"),
        })
    }

    /// Field `n` of proc(5)'s numbering (3 is the state).
    fn field(&self, n: usize) -> i64 {
        self.stat.get(n - 3).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    fn unsigned(&self, n: usize) -> u64 {
        self.stat.get(n - 3).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    fn state(&self) -> &str {
        self.stat.first().map_or("?", String::as_str)
    }

    fn show(&self, value: Value, machine: &Machine) -> String {
        let cpu_seconds = (self.unsigned(14) + self.unsigned(15)) / machine.ticks;
        let start_ticks = self.unsigned(22);
        let age = (machine.uptime - start_ticks as f64 / machine.ticks as f64).max(0.0);
        let used = (self.unsigned(14) + self.unsigned(15)) as f64 / machine.ticks as f64;
        let percent = if age > 0.0 { (used / age * 100.0).min(99.9) } else { 0.0 };
        let rss = self.unsigned(24) * machine.page_kib;
        match value {
            Value::User => machine.users.get(&self.uid).cloned().unwrap_or_else(|| self.uid.to_string()),
            Value::Uid => self.uid.to_string(),
            Value::Group => machine.groups.get(&self.gid).cloned().unwrap_or_else(|| self.gid.to_string()),
            Value::Gid => self.gid.to_string(),
            Value::Pid => self.pid.to_string(),
            Value::Ppid => self.field(4).to_string(),
            Value::Pgid => self.field(5).to_string(),
            Value::Sid => self.field(6).to_string(),
            Value::Tty => tty(self.field(7)),
            Value::State => self.state().to_owned(),
            Value::Stat => self.long_state(),
            Value::Cpu => format!("{percent:.1}"),
            Value::CpuInt => (percent as u64).to_string(),
            Value::Mem => format!("{:.1}", rss as f64 * 100.0 / machine.memory_kib as f64),
            Value::Vsz => (self.unsigned(23) / 1024).to_string(),
            Value::Rss => rss.to_string(),
            Value::Start | Value::LongStart => started(machine, start_ticks, value == Value::LongStart),
            Value::Elapsed => elapsed(age as u64),
            Value::Time => clock(cpu_seconds),
            Value::BsdTime => format!("{}:{:02}", cpu_seconds / 60, cpu_seconds % 60),
            Value::Args => self.args.clone(),
            Value::Comm => self.comm.clone(),
            Value::Nice => self.field(19).to_string(),
            Value::Priority => (39 - self.field(18)).to_string(),
            Value::Threads => self.field(20).to_string(),
            Value::Wchan => fs::read_to_string(format!("/proc/{}/wchan", self.pid))
                .ok()
                .filter(|w| !w.is_empty() && w != "0")
                .unwrap_or_else(|| "-".into()),
        }
    }

    /// The state with BSD's marks: nice, locked pages, session leader, threads, foreground.
    fn long_state(&self) -> String {
        let mut state = self.state().to_owned();
        match self.field(19) {
            n if n < 0 => state.push('<'),
            n if n > 0 => state.push('N'),
            _ => {}
        }
        if self.locked {
            state.push('L');
        }
        if self.field(6) == i64::from(self.pid) {
            state.push('s');
        }
        if self.field(20) > 1 {
            state.push('l');
        }
        if self.field(8) != -1 && self.field(8) == self.field(5) {
            state.push('+');
        }
        state
    }
}

/// Name of a terminal by its device number.
fn tty(device: i64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        0 => "?".into(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        _ => "?".into(),
    }
}

fn started(machine: &Machine, ticks: u64, long: bool) -> String {
    let after = jiff::SignedDuration::from_millis((ticks * 1000 / machine.ticks) as i64);
    let at = machine.boot.checked_add(after).unwrap_or(machine.boot);
    let zoned = at.to_zoned(machine.zone.clone());
    if long {
        return zoned.strftime("%a %b %e %H:%M:%S %Y").to_string();
    }
    let today = Timestamp::now().to_zoned(machine.zone.clone());
    let form = if zoned.date() == today.date() {
        "%H:%M"
    } else if zoned.year() == today.year() {
        "%b%d"
    } else {
        "%Y"
    };
    zoned.strftime(form).to_string()
}

fn clock(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}-{clock}") } else { clock }
}

fn elapsed(seconds: u64) -> String {
    if seconds < 3600 { format!("{:02}:{:02}", seconds / 60, seconds % 60) } else { clock(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(args: &str) -> String {
        plan(args).map_or_else(|e| e.to_string(), |c| c.into_iter().map(|c| c.title).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn r_ctr_06_columns_of_ps() {
        assert_eq!(titles(""), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("-ef"), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("-ef --forest"), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("aux"), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
        assert_eq!(titles("-o pid,ppid,comm,args"), "PID PPID COMMAND COMMAND");
        assert_eq!(titles("-eo pid,user=Who"), "PID Who");
        assert_eq!(titles("-o ppid"), "Couldn't find PID field in ps output");
        assert_eq!(titles("xyz"), "ps: error: unsupported option (BSD syntax)");
        assert_eq!(titles("-o pid,what"), "ps: error: unknown user-defined format specifier \"what\"");
    }

    #[test]
    fn own_process_is_shown() {
        let top = top(&[std::process::id()], "-o pid,comm,stat,rss,user,lstart,etime").expect("a table");
        assert_eq!(top.processes.len(), 1);
        assert_eq!(top.processes[0][0], std::process::id().to_string());
        assert!(top.processes[0][3].parse::<u64>().expect("a number") > 0);
    }
}
