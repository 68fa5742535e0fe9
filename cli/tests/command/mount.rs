use crate::support::{Image, command, files, hashes, run, sample, samples, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_walk_prints_the_hashes_of_the_source() {
    let outcome = Image::tree().mount(&["--walk"]).succeeded();
    assert_eq!(outcome.text(), hashes());
}

#[test]
fn cat_writes_the_bytes_and_nothing_else() {
    let image = Image::tree();
    for (path, bytes) in files() {
        assert!(image.mount(&["--cat", path]).succeeded().bytes == bytes, "{path}");
    }
    let both = image.mount(&["--cat", "hello.txt", "--cat", "/link"]).succeeded();
    assert!(both.bytes == [files()[4].1.as_slice(), &files()[2].1].concat());
}

#[test]
fn listings() {
    let image = Image::tree();
    let names = ["A file", "dangling", "deep", "empty", "hello.txt", "link", "nothing", "zürich"];
    let short = image.mount(&["--ls", "/"]).succeeded();
    let seen: Vec<&str> = short.lines().into_iter().filter(|name| !matches!(*name, "." | "..")).collect();
    assert_eq!(seen, names);
    assert_eq!(image.mount(&["--ls", "deep/big", "--ls", "dangling"]).succeeded().text(), "big\ndangling\n");

    let long = image.mount(&["-l", "--ls", "/"]).succeeded();
    let line = |name: &str| long.lines().into_iter().find(|line| line.ends_with(name)).expect("listed").to_owned();
    assert_eq!(line(" hello.txt"), "-rwsr-x--x   1     7     8         13 2009-02-13 23:31:30 hello.txt");
    assert!(line(" link -> deep/big").starts_with('l') && line(" nothing").starts_with("drwxr-xr-x"));

    let json = image.mount(&["--json", "--ls", "/"]).succeeded().json();
    let entry = |name: &str| json.iter().find(|entry| entry["name"] == name).expect("listed");
    assert_eq!((&entry("hello.txt")["mode"], &entry("hello.txt")["uid"]), (&0o4751.into(), &7.into()));
    assert_eq!((&entry("link")["kind"], &entry("link")["target"]), (&"link".into(), &"deep/big".into()));
    assert_eq!(entry("zürich")["size"], 4097);
}

#[test]
fn attributes() {
    let outcome = Image::tree().mount(&["--attributes", "hello.txt"]).succeeded();
    for wanted in
        ["kind: file", "size: 13 bytes", "-rwsr-x--x (4751)", "uid 7, gid 8", "modify: 2009-02-13 23:31:30.000000000 UTC"]
    {
        assert!(outcome.text().contains(wanted), "{wanted}: {}", outcome.text());
    }
}

#[test]
fn extracting_a_tree() {
    let image = Image::tree();
    let to = image.beside("copy");
    image.mount(&["--extract", "/", text(&to)]).succeeded();
    for (path, bytes) in files() {
        assert!(fs::read(to.join(path)).expect("copied") == bytes, "{path}");
    }
    assert_eq!(fs::read_link(to.join("link")).expect("a link"), std::path::Path::new("deep/big"));
    assert_eq!(fs::metadata(to.join("hello.txt")).expect("copied").permissions().mode() & 0o7777, 0o751);
    assert!(fs::read_dir(to.join("nothing")).expect("a directory").next().is_none());
    // What is there is not touched.
    image.mount(&["--extract", "/", text(&to)]).failed(&[text(&to), "exists"]);
    image.mount(&["--extract", "/nowhere", text(&image.beside("other"))]).failed(&["/mnt/nowhere", "ENOENT"]);
    assert!(!image.beside("other").exists());
}

#[test]
fn inserting_where_changes_are_refused() {
    let image = Image::tree();
    let from = image.beside("new");
    fs::write(&from, b"new").expect("written");
    image.mount(&["--insert", text(&from), "/new"]).failed(&["/mnt/new", "EROFS"]);
    image.mount(&["--insert", text(&image.beside("missing")), "/new"]).failed(&[text(&image.beside("missing"))]);
}

#[test]
fn what_the_file_system_says_and_what_is_loaded() {
    let image = Image::tree();
    let outcome = image.mount(&["--stat"]).succeeded();
    let lines = outcome.lines();
    assert_eq!(lines[0], "/dev/image0 on /mnt type tarfs (read-only), blocks of 512");
    let modules: Vec<&str> = lines[4..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(modules, ["tarfs", "tarindex"], "{lines:?}");
}

#[test]
fn times_go_to_standard_error() {
    let outcome = Image::tree().mount(&["--time", "--read-all", "--repeat", "2"]);
    assert_eq!((outcome.status, outcome.text()), (Some(0), ""));
    let bytes: usize = files().iter().map(|(_, bytes)| bytes.len()).sum();
    let read = format!("read {} files, {bytes} bytes", files().len());
    let stages: Vec<&str> = outcome.errors.lines().map(|line| line.rsplit_once(": ").expect("stage: time").0).collect();
    assert_eq!(stages, ["boot", "autoload tarfs", "mount tarfs", &read, &read, "unmount /mnt"]);
}

#[test]
fn several_mounts() {
    let (one, two) = (Image::tree(), Image::tree());
    let (one, two) = (format!("tarfs:{}:/one", text(&one.path())), format!("tarfs:{}:/two", text(&two.path())));
    let arguments = ["mount", "--modules", text(samples()), "--mount", &one, "--mount", &two];
    let walk = run(&[&arguments[..], &["--walk"]].concat()).succeeded();
    let expected: String = ["/one", "/two"].map(|top| hashes().replace("  /", &format!("  {top}/"))).concat();
    assert_eq!(walk.text(), expected);
    let stat = run(&[&arguments[..], &["--stat", "--cat", "/two/hello.txt"]].concat()).succeeded();
    assert_eq!(stat.lines()[0], "hello, world");
    assert!(stat.text().contains("/dev/image0 on /one") && stat.text().contains("/dev/image1 on /two"), "{}", stat.text());
    run(&["mount", "--modules", text(samples()), "--mount", &one, "--mount", &one]).failed(&["/one", "EBUSY"]);
}

#[test]
fn a_module_that_is_not_there() {
    let image = Image::tree();
    let empty = image.beside("empty");
    fs::create_dir(&empty).expect("made");
    let path = image.path();
    let arguments = |modules| ["mount", "--modules", modules, "--type", "tarfs", "--image", text(&path)];
    run(&arguments(text(&empty))).failed(&["tarfs", text(&empty), "tarfs/tarfs.kmod", "not found"]);
    run(&arguments("/nowhere/at/all")).failed(&["module directory /nowhere/at/all", "not found"]);
    // What the module requires is looked for as well.
    fs::create_dir(empty.join("tarfs")).expect("made");
    fs::copy(sample("tarfs"), empty.join("tarfs/tarfs.kmod")).expect("copied");
    run(&arguments(text(&empty))).failed(&["tarfs requires tarindex", "tarindex/tarindex.kmod"]);
}

#[test]
fn a_module_that_is_damaged() {
    let image = Image::tree();
    let modules = image.beside("modules");
    fs::create_dir_all(modules.join("tarfs")).expect("made");
    let file = modules.join("tarfs/tarfs.kmod");
    let whole = fs::read(sample("tarfs")).expect("built");
    let path = image.path();
    let arguments = ["mount", "--modules", text(&modules), "--type", "tarfs", "--image", text(&path)];
    fs::write(&file, [b'x'; 1000]).expect("written");
    run(&arguments).failed(&["tarfs.kmod", "ELF"]);
    // The table of sections, which a word of the file header leads to, lies behind the end.
    fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    let word = if cfg!(target_pointer_width = "64") { "offset 0x28: needs" } else { "offset 0x20: needs" };
    run(&arguments).failed(&["tarfs.kmod", word, "bytes of a file of"]);
}

#[test]
fn images_that_cannot_be_mounted() {
    let image = Image::tree();
    let missing = image.beside("missing");
    let arguments = ["mount", "--modules", text(samples()), "--type", "tarfs"];
    run(&[&arguments[..], &["--image", text(&missing)]].concat()).failed(&["image", text(&missing), "not found"]);
    let noise = Image::of(&[0x5a; 4096]);
    noise.mount(&["--walk"]).failed(&[text(&noise.path()), "mount /mnt", "EINVAL"]);
}

#[test]
fn options_that_a_type_does_not_have() {
    let image = Image::tree();
    image.mount(&["-o", "frobnicate"]).failed(&["-o frobnicate", "tarfs"]);
    image.mount(&["-o", "mask=0777"]).failed(&["-o mask=511", "tarfs"]);
    let outcome = image.mount(&["-o", "sector=7"]);
    assert_eq!(outcome.status, Some(2));
    assert!(outcome.errors.contains("sector=7: sectors are 512, 2048 or 4096 bytes"), "{}", outcome.errors);
    image.mount(&["-o", "target=/x"]).failed(&["target", text(&image.path())]);
}

#[test]
fn paths_that_are_not_there() {
    let image = Image::tree();
    // What was asked for before is written.
    let outcome = image.mount(&["--cat", "hello.txt", "--cat", "nowhere"]).failed(&["open /mnt/nowhere", "ENOENT"]);
    assert_eq!(outcome.text(), "hello, world\n");
    image.mount(&["--ls", "nowhere"]).failed(&["/mnt/nowhere", "ENOENT"]);
    image.mount(&["--cat", "deep"]).failed(&["read /mnt/deep", "EISDIR"]);
    image.mount(&["--attributes", "hello.txt/x"]).failed(&["ENOTDIR"]);
}

#[test]
fn a_reader_that_goes_away() {
    let image = Image::tree();
    let path = image.path();
    let arguments = ["mount", "--modules", text(samples()), "--type", "tarfs", "--image", text(&path), "--cat", "deep/big"];
    let mut child = command(&arguments).spawn().expect("the tool starts");
    drop(child.stdout.take());
    let outcome = child.wait_with_output().expect("it ends");
    assert_eq!(
        (outcome.status.code(), outcome.stderr.as_slice()),
        (Some(141), &b""[..]),
        "as if SIGPIPE had ended it, and quiet"
    );
}
