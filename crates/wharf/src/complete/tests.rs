//! What is offered where, without an engine.

use super::*;

/// The candidates and the directive for a line whose words are separated by blanks; it ends with the word being typed.
fn asked(line: &str) -> (Vec<String>, After) {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let last = words.pop().unwrap_or_default();
    // nothing answers there
    let mut before = vec!["--host=unix:///nonexistent/engine.sock".to_owned()];
    before.extend(words);
    match walk::walk("wharf", &before, &last) {
        Some((session, place)) => {
            let (all, after) = candidates(&session, place, &last);
            (all.into_iter().map(|candidate| candidate.word).collect(), after)
        }
        None => (Vec::new(), After::Files),
    }
}

fn check(line: &str, words: &[&str], after: After) {
    let (found, then) = asked(line);
    assert_eq!((found.iter().map(String::as_str).collect::<Vec<_>>(), then), (words.to_vec(), after), "{line}");
}

#[test]
fn commands_by_their_beginning() {
    check("un", &["unpause"], After::Nothing);
    check("container re", &["rename", "restart"], After::Nothing);
    check("help net", &["network"], After::Nothing);
    check("help network ins", &["inspect"], After::Nothing);
    check("--debug un", &["unpause"], After::Nothing);
    assert!(asked("").0.contains(&"run".to_owned()));
}

#[test]
fn flags_by_their_beginning_and_once() {
    check("run --cid", &["--cidfile"], After::Nothing);
    check("run --cidfile x --cid", &[], After::Nothing);
    check("run --cap-a", &["--cap-add"], After::Nothing);
    check("run --cap-add ALL --cap-a", &["--cap-add"], After::Nothing);
    let (all, _) = asked("rm -");
    assert!(["--force", "-f", "--volumes", "-v"].iter().all(|flag| all.contains(&(*flag).to_owned())), "{all:?}");
    // hidden ones, and those of other systems
    check("run --cpu-co", &[], After::Nothing);
    check("run --net=", &[], After::Nothing);
}

#[test]
fn values_of_flags() {
    check("run --pull ", &["always", "missing", "never"], After::Nothing);
    check("run --pull=m", &["missing"], After::Nothing);
    check("run --rm -it --pull n", &["never"], After::Nothing);
    check("run --uts h", &["host"], After::Nothing);
    check("run --ipc s", &["shareable"], After::Nothing);
    check("run --ipc con", &["container:"], After::Open);
    check("kill -s USR", &["USR1", "USR2"], After::Nothing);
    check("kill -sUS", &[], After::Nothing);
    check("run --cap-add CAP_SYS_PT", &["CAP_SYS_PTRACE"], After::Nothing);
    check("run --env-file ", &[], After::Files);
    check("run --name ", &[], After::Nothing);
    check("ps --filter sta", &["status="], After::Open);
    check("ps --filter status=p", &["status=paused"], After::Nothing);
    check("ps -f nothing=p", &[], After::Nothing);
    check("network ls --filter type=", &["type=builtin", "type=custom"], After::Nothing);
    check("--log-level w", &["warn"], After::Nothing);
}

#[test]
fn arguments_where_no_engine_answers() {
    check("run ", &[], After::Nothing);
    check("run -- ", &[], After::Nothing);
    check("build ", &[], After::Folders);
    check("import ", &[], After::Files);
    check("cp ", &[], After::Open);
    check("network rm ", &[], After::Nothing);
}

#[test]
fn what_makes_no_sense_is_left_to_the_shell() {
    check("nosuch ", &[], After::Files);
    check("run --nosuch ", &[], After::Files);
    check("run --nosuch=", &[], After::Files);
    check("help nosuch ", &[], After::Files);
}

#[test]
fn scripts_speak_of_the_program_that_they_complete() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = script("docker", shell, true);
        assert!(script.contains("docker") && script.contains("__complete "), "{shell}");
        assert!(!script.contains("@program@") && !script.contains("@ask@"), "{shell}");
        assert!(super::script("wharf", shell, false).contains("__completeNoDesc "), "{shell}");
    }
}
