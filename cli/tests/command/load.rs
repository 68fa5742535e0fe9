use crate::support::{Outcome, run, samples, text};
use rumpload_test_modules::NAMES;
use std::process::Command;

fn load(arguments: &[&str]) -> Outcome {
    run(&[&["load", "--modules", text(samples())], arguments].concat())
}

#[test]
fn modules_are_loaded_shown_and_unloaded() {
    let outcome = load(&["--json", "polite", "chain_2"]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let names: Vec<String> = outcome.json().iter().map(|module| module["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(names, ["chain_2", "chain_1", "polite", "hello"], "newest first");
    let polite = &outcome.json()[2];
    assert_eq!((&polite["requires"], &polite["source"], &polite["references"]), (&"hello".into(), &"file".into(), &0.into()));
    assert!(polite["size"].as_u64() > Some(0) && polite["address"].as_u64() > Some(0));
    let text = load(&["idle"]);
    assert_eq!(text.status, Some(0), "{text:?}");
    assert!(text.lines()[0].starts_with("NAME") && text.lines()[1].starts_with("idle "), "{}", text.text());
}

#[test]
fn what_went_wrong_is_said() {
    for (name, words) in [
        ("absent", &["loading absent", text(samples()), "absent/absent.kmod", "not found"][..]),
        ("bad_version", &["799013400", "799003400"]),
        ("cycle_a", &["cycle_a -> cycle_b -> cycle_a"]),
        ("init_fails", &["init failed with errno 5"]),
        ("missing", &["3 undefined symbols", "rumpns_no_such_function wanted by section 1 (.text), offset"]),
        ("needs_two", &["needs_two requires absent"]),
        ("crash_store", &["SIGSEGV at address 0x10", "module crash_store, crash_modcmd+0x"]),
        ("fini_fails", &["fini refused with errno 5"]),
        ("../hello", &["../hello"]),
    ] {
        load(&[name]).failed(words);
    }
}

#[test]
fn all_go_by_themselves_and_none_takes_the_others_down() {
    let outcome = load(&["--all", "--timeout", "3"]);
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert_eq!(outcome.errors, "");
    let (last, lines) = outcome.lines().split_last().map(|(last, lines)| (last.to_string(), lines.to_vec())).expect("lines");
    assert_eq!(lines.len(), NAMES.len());
    let of = |kind: &str| lines.iter().filter(|line| line.starts_with(kind)).count();
    let (started, missing, failed) = (of("started "), of("missing symbols "), of("failed "));
    assert_eq!(last, format!("started {started}, missing symbols {missing}, failed {failed} of {}", NAMES.len()));
    assert_eq!(started + missing + failed, NAMES.len());
    for wanted in
        ["started tarfs", "started polite", "started fini_fails", "missing symbols missing: ", "missing symbols needs_absent: "]
    {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {lines:?}");
    }
    for wanted in [
        "failed crash_loop: timeout: it ran for 3 s and was killed",
        "failed crash_divide: the instance has ended: SIGFPE",
        "failed fini_panics: started, but did not stop: ",
        "failed two_records: ",
        "failed raw_common: ",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {lines:?}");
    }
}

#[test]
fn counts_as_json_and_success_when_none_failed() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["hello", "missing"] {
        std::fs::create_dir(directory.path().join(name)).expect("made");
        let file = format!("{name}/{name}.kmod");
        std::fs::copy(samples().join(&file), directory.path().join(&file)).expect("copied");
    }
    let outcome = run(&["load", "--all", "--json", "--modules", text(directory.path())]).succeeded();
    let json = outcome.json();
    assert_eq!((&json[0]["module"], &json[0]["outcome"]), (&"hello".into(), &"started".into()));
    assert_eq!((&json[1]["module"], &json[1]["outcome"]), (&"missing".into(), &"missing-symbols".into()));
    assert!(json[1]["reason"].as_str().expect("a reason").contains("rumpns_no_such_variable"));
    assert_eq!(json[2], serde_json::json!({ "started": 1, "missing_symbols": 1, "failed": 0, "of": 2 }));
}

#[test]
fn a_process_that_is_killed_is_a_failure_of_its_module_only() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["crash_loop", "hello"] {
        std::fs::create_dir(directory.path().join(name)).expect("made");
        let file = format!("{name}/{name}.kmod");
        std::fs::copy(samples().join(&file), directory.path().join(&file)).expect("copied");
    }
    // Whoever computes for a second gets a signal; it is not the tool that waits.
    let limited = "ulimit -c 0; ulimit -St 1; exec \"$@\"";
    let tool = env!("CARGO_BIN_EXE_rumpload");
    let arguments = ["-c", limited, "sh", tool, "load", "--all", "--timeout", "600", "--modules", text(directory.path())];
    let outcome: Outcome = Command::new("sh").args(arguments).output().expect("it starts").into();
    let lines = outcome.lines();
    assert!(lines[0].starts_with("failed crash_loop: its process ended by signal: 24 (SIGXCPU)"), "{outcome:?}");
    assert_eq!(lines[1..], ["started hello", "started 1, missing symbols 0, failed 1 of 2"]);
    assert_eq!(outcome.status, Some(1));
}

#[test]
fn an_empty_directory_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    run(&["load", "--all", "--modules", text(directory.path())]).failed(&[text(directory.path()), "no modules"]);
}

#[test]
fn a_trace_says_which_traps_are_linked_and_what_is_called() {
    let outcome = load(&["--trace", "services_end_trap"]).failed(&["declared trap soisconnected was called"]);
    for wanted in
        ["services_end_trap links against the declared trap soisconnected: sockets", "panic: declared trap soisconnected"]
    {
        assert!(outcome.errors.contains(wanted), "{wanted}: {}", outcome.errors);
    }
    let outcome = load(&["--trace", "services_bytes"]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.errors.lines().any(|line| line.starts_with("crc32(0, \"123456789\", 9, ")), "{}", outcome.errors);
}
