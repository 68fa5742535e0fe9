use crate::support::{run, sample, target, text};

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
        ["rumpns_no_such_function (missing: the base kernel does not offer it)", "rumpns_kthread_exit (declared trap: threads"]
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
