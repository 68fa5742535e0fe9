use crate::support::{run, sample, target, text};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Linux module in `directory`.
fn linux(directory: &Path) -> PathBuf {
    let file = directory.join("sample.ko");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/sample.ko.c");
    let machine = if target().pointer == 8 { "-m64" } else { "-m32" };
    let mut gcc = Command::new("gcc");
    gcc.args([machine, "-c", "-O1", "-ffreestanding", "-fno-pic", "-fno-asynchronous-unwind-tables", "-Wall", "-Werror"]);
    assert!(gcc.arg(source).arg("-o").arg(&file).status().expect("gcc runs").success());
    file
}

#[test]
fn what_a_module_is() {
    let file = sample("tarfs");
    let outcome = run(&["inspect", text(&file)]).succeeded();
    let lines = outcome.lines();
    assert_eq!(lines[0], text(&file));
    for wanted in [
        "  flavour     NetBSD",
        "  name        tarfs",
        "  class       2 (vfs)",
        "  version     799003400 (7.99.34)",
        "  requires    tarindex",
    ] {
        assert!(lines.contains(&wanted), "{wanted}: {}", outcome.text());
    }
    let import = lines.iter().find(|line| line.contains("  rumpns_tar_index_make")).expect("it is imported");
    assert!(import.ends_with("uses  rumpns_tar_index_make (of a required module, or missing)"), "{import}");
    assert!(lines.iter().any(|line| line.ends_with("uses  rumpns_vfs_attach")), "{}", outcome.text());
    let missing = run(&["inspect", text(&sample("missing")), text(&sample("services_end_trap"))]).succeeded();
    for wanted in
        ["rumpns_no_such_function (missing: the base kernel does not offer it)", "rumpns_soisconnected (declared trap: sockets"]
    {
        assert!(missing.text().contains(wanted), "{wanted}: {}", missing.text());
    }
}

#[test]
fn json_says_the_same() {
    let outcome = run(&["inspect", "--json", "--prefix", "my_", text(&sample("missing")), text(&sample("hello"))]).succeeded();
    let json = outcome.json();
    assert_eq!(json.len(), 2);
    assert_eq!(
        (&json[0]["name"], &json[0]["version"], &json[0]["class_name"]),
        (&"missing".into(), &799_003_400.into(), &"misc".into())
    );
    assert_eq!(json[0]["machine"], if target().pointer == 8 { "x86-64" } else { "i386" });
    let imports: Vec<&str> =
        json[0]["imports"].as_array().expect("a list").iter().filter_map(|item| item["name"].as_str()).collect();
    for name in ["my_no_such_function", "my_another_missing_function", "my_no_such_variable"] {
        assert!(imports.contains(&name), "{imports:?}");
    }
    assert!(json[1]["exports"].as_array().expect("a list").iter().any(|item| item["kind"] == "function"));
    assert!(json[0]["relocations"].as_object().expect("a map").values().all(|count| count.as_u64() > Some(0)));
    assert!(json[0]["segments"].as_array().expect("a list").iter().any(|item| item["access"] == "r-x"));
}

#[test]
fn files_that_are_no_modules_are_named_and_the_others_shown() {
    let outcome = run(&["inspect", text(&sample("no_record")), "/nowhere", text(&sample("hello"))]);
    assert_eq!(outcome.status, Some(1));
    for wanted in ["error       no link_set_modules section", "error       No such file", "  name        hello"] {
        assert!(outcome.text().contains(wanted), "{wanted}: {}", outcome.text());
    }
}

#[test]
fn what_a_linux_module_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = linux(directory.path());
    let outcome = run(&["inspect", text(&file)]).succeeded();
    let lines = outcome.lines();
    for wanted in [
        "  flavour     Linux",
        "  name        sample",
        "  vermagic    6.1.0-0-test SMP mod_unload",
        "  license     Dual BSD/GPL",
        "  signature   none",
        "  routines    init, exit",
        "  depends     first, second",
        "  soft before early",
        "  soft after  late",
        "  namespaces  CRYPTO",
        "  aliases     2",
        "    fs-sample",
        "    pci:v0000*",
        "    int      level  How loud",
        "  exports     2",
        "    data     0x00000011  offered",
        "    function 0x00000022  offered_to_gpl (GPL only) (namespace SAMPLE)",
        "  imports     2",
        "           1 uses 0x12345678  wanted",
    ] {
        assert!(lines.contains(&wanted), "{wanted}: {}", outcome.text());
    }
    assert!(lines.iter().any(|line| line.ends_with("uses          -  optional weak")), "{}", outcome.text());
    assert!(lines.iter().any(|line| line.starts_with("    text     r-x") && line.ends_with(" .text")), "{}", outcome.text());
}

#[test]
fn packed_linux_modules_are_unpacked() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = linux(directory.path());
    let plain = run(&["inspect", "--json", text(&file)]).succeeded().json();
    assert!(Command::new("gzip").arg("-k").arg(&file).status().expect("gzip runs").success());
    let mut packed = run(&["inspect", "--json", &format!("{}.gz", text(&file))]).succeeded().json();
    packed[0]["file"] = plain[0]["file"].clone();
    assert_eq!(packed, plain);
    assert_eq!((&plain[0]["name"], &plain[0]["gpl"]), (&"sample".into(), &true.into()));
    assert_eq!(plain[0]["imports"][1]["crc"], 0x1234_5678);
    assert_eq!(plain[0]["exports"][1]["crc"], 0x22);

    let bytes = std::fs::read(directory.path().join("sample.ko.gz")).expect("it is there");
    std::fs::write(directory.path().join("cut.ko.gz"), &bytes[..bytes.len() / 2]).expect("written");
    let outcome = run(&["inspect", text(&directory.path().join("cut.ko.gz"))]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.text().contains("error       unpacking: "), "{}", outcome.text());
}

#[test]
fn a_signature_is_seen_and_a_module_without_a_name_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut bytes = std::fs::read(linux(directory.path())).expect("it is there");
    let signed = directory.path().join("signed.ko");
    let signature = b"four\0\0\x02\0\0\0\0\0\0\0\0\x04~Module signature appended~\n";
    std::fs::write(&signed, [&bytes[..], signature].concat()).expect("written");
    let outcome = run(&["inspect", text(&signed)]).succeeded();
    assert!(outcome.lines().contains(&"  signature   appended, not verified"), "{}", outcome.text());

    let at = bytes.windows(12).position(|window| window == b"name=sample\0").expect("its name");
    bytes[at] = b'g';
    let unnamed = directory.path().join("unnamed.ko");
    std::fs::write(&unnamed, &bytes).expect("written");
    let outcome = run(&["inspect", text(&unnamed)]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.text().contains("  error       "), "{}", outcome.text());
}
