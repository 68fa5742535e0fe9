use crate::support::{Outcome, run, sample, samples, text};
use rumpload_test_modules::NAMES;
use std::fs;

fn link(arguments: &[&str]) -> Outcome {
    run(&[&["link"], arguments].concat())
}

#[test]
fn the_last_line_counts() {
    let outcome = link(&[text(samples()), "--recursive", "--assume-missing"]);
    let lines = outcome.lines();
    // Two records and none are no modules; a common symbol without space cannot be linked.
    let (all, good) = (NAMES.len(), NAMES.len() - 3);
    assert_eq!(lines.last(), Some(&format!("linked {good}, refused 2, failed 1 of {all}").as_str()));
    assert_eq!((outcome.status, lines.len()), (Some(1), 4), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("failed ") && line.contains("common symbol rumpns_common_buffer")),
        "{lines:?}"
    );
    for name in ["no_record", "two_records"] {
        let refused = format!("refused {}: ", text(&sample(name)));
        assert!(lines.iter().any(|line| line.starts_with(&refused)), "{lines:?}");
    }
}

#[test]
fn missing_symbols_are_all_named() {
    let outcome = link(&[text(&sample("missing"))]);
    assert_eq!(outcome.status, Some(1));
    for name in ["rumpns_no_such_function", "rumpns_another_missing_function", "rumpns_no_such_variable"] {
        assert!(outcome.lines()[0].contains(&format!("{name} wanted by section 1 (.text), offset 0x")), "{}", outcome.text());
    }
    assert_eq!(outcome.lines()[1], "linked 0, refused 0, failed 1 of 1");
}

#[test]
fn refused_modules_alone_are_no_failure() {
    let outcome = link(&[text(&sample("no_record"))]).succeeded();
    assert_eq!(outcome.lines()[1], "linked 0, refused 1, failed 0 of 1");
}

#[test]
fn required_modules_are_found_in_a_directory() {
    let polite = sample("polite");
    let alone = link(&[text(&polite)]);
    assert!(alone.status == Some(1) && alone.text().contains("rumpns_hello"), "{alone:?}");
    let json = link(&["--json", "--assume-missing", "--modules", text(samples()), text(&polite)]).succeeded().json();
    let assumed = json[0]["assumed"].to_string();
    assert!(!assumed.contains("rumpns_hello"), "it comes from the module hello: {assumed}");
    let absent = link(&["--assume-missing", "--modules", text(samples()), text(&sample("needs_absent"))]);
    assert!(absent.status == Some(1) && absent.text().contains("absent/absent.kmod"), "{absent:?}");
    let cycle = link(&["--assume-missing", "--modules", text(samples()), text(&sample("cycle_a"))]);
    assert!(cycle.status == Some(1) && cycle.text().contains("require each other"), "{cycle:?}");
}

#[test]
fn addresses_are_those_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let (symbols, out) = (directory.path().join("symbols"), directory.path().join("out"));
    let names = ["no_such_function", "another_missing_function", "no_such_variable"];
    let lines: String = names.iter().zip(0_u64..).map(|(name, at)| format!("my_{name} {:#x}\n", 0x2000_0000 + 16 * at)).collect();
    fs::write(&symbols, format!("# where they are\n{lines}")).expect("written");
    let missing = sample("missing");
    let arguments = |at: &'static str| {
        let options =
            ["--json", "--assume-missing", "--prefix", "my_", "--at", at, "--symbols", text(&symbols), "--out", text(&out)];
        run(&[&["link"], &options[..], &[text(&missing)]].concat()).succeeded().json()
    };
    let json = arguments("0x12340000");
    assert_eq!(
        (&json[0]["outcome"], &json[0]["name"], &json[0]["run"]),
        (&"linked".into(), &"missing".into(), &0x1234_0000.into())
    );
    assert_eq!(json[0]["assumed"], serde_json::json!([]), "all are known");
    assert_eq!(json[1], serde_json::json!({ "linked": 1, "refused": 0, "failed": 0, "of": 1 }));
    let bytes = fs::read(&out).expect("written");
    assert_eq!(json[0]["size"], bytes.len());
    let sections = json[0]["sections"].as_array().expect("a list");
    let section = sections.iter().find(|section| section["name"] == ".text").expect("code");
    let address = section["address"].as_u64().expect("a number");
    assert!((0x1234_0000..0x1234_0000 + bytes.len() as u64).contains(&address));
    // Calls are relative: moved by a distance, the same call to the same place differs by it.
    arguments("0x12350000");
    let moved = fs::read(&out).expect("written");
    assert_eq!(moved.len(), bytes.len());
    let at = (address - 0x1234_0000) as usize;
    let distance = |bytes: &[u8], at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let size = section["size"].as_u64().expect("a number") as usize;
    let calls = (at..at + size - 3).filter(|&at| distance(&bytes, at).wrapping_sub(distance(&moved, at)) == 0x1_0000).count();
    assert!(calls >= 1, "no call was relocated");
}

#[test]
fn several_modules_need_a_directory_for_their_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [sample("hello"), sample("idle")];
    let paths = ["--assume-missing", text(&files[0]), text(&files[1]), "--out"];
    let file = directory.path().join("file");
    link(&[&paths[..], &[text(&file)]].concat()).failed(&[text(&file), "2 modules need a directory"]);
    link(&[&paths[..], &[text(directory.path())]].concat()).succeeded();
    for name in ["hello.bin", "idle.bin"] {
        assert!(fs::metadata(directory.path().join(name)).expect("written").len() > 0);
    }
}

#[test]
fn bad_arguments_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let hello = sample("hello");
    let symbols = directory.path().join("symbols");
    fs::write(&symbols, "good 0x10\nbad\n").expect("written");
    link(&["--symbols", text(&symbols), text(&hello)]).failed(&[text(&symbols), "line 2"]);
    link(&["/nowhere"]).failed(&["/nowhere"]);
    link(&[text(directory.path())]).failed(&["no module files found", "--recursive"]);
    let outcome = link(&["--at", "here", text(&hello)]);
    assert!(outcome.status == Some(2) && outcome.errors.contains("here"), "{outcome:?}");
}
