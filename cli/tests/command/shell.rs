use crate::support::{Image, command, files, hashes, run_with, samples, text};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

#[test]
fn looking_around() {
    let script = "# a comment\n\npwd\ncd deep\npwd\nls .\ncat ../hello.txt\ncd a/./b/../b\npwd\ncd\npwd\ncat 'A file' \"A file\" A\\ file\n";
    let outcome = Image::tree().shell(script).succeeded();
    let lines: Vec<&str> = outcome.lines().into_iter().filter(|line| !matches!(*line, "." | "..")).collect();
    let (name, bytes) = ("a name with a blank", "hello, world");
    assert_eq!(lines, ["/mnt", "/mnt/deep", "a", "big", bytes, "/mnt/deep/a/b", "/mnt", name, name, name]);
}

#[test]
fn the_commands_of_mount_are_there() {
    let image = Image::tree();
    assert_eq!(image.shell("walk").succeeded().text(), hashes());
    let long = image.shell("ls -l hello.txt").succeeded();
    assert_eq!(long.text(), "-rwsr-x--x   1     7     8         13 2009-02-13 23:31:30 hello.txt\n");
    assert!(image.shell("stat link").succeeded().text().contains("kind: link"));
    assert_eq!(image.shell("mounts").succeeded().text(), "/dev/image0 on /mnt type tarfs (read-only)\n");
    let df = image.shell("df").succeeded();
    assert!(df.lines().iter().any(|line| line.starts_with("/dev/image0") && line.ends_with(" /mnt")), "{}", df.text());
    assert!(image.shell("modstat").succeeded().text().contains("\ntarfs "));
    assert!(image.shell("help").succeeded().text().contains("umount"));
    assert!(image.shell("help cp").succeeded().text().contains("Usage: cp <PATH> <TO>"));
}

#[test]
fn copying_out() {
    let image = Image::tree();
    let (copy, into) = (image.beside("copy"), image.beside("into"));
    fs::create_dir(&into).expect("made");
    image.shell(&format!("cp deep '{}'\ncp deep/big '{}'\n", text(&copy), text(&into))).succeeded();
    assert!(fs::read(copy.join("a/b/c/leaf")).expect("copied") == files()[1].1);
    assert!(fs::read(into.join("big")).expect("copied") == files()[2].1);
    image.shell(&format!("cp . '{}'\n", text(&into))).succeeded();
    assert_eq!(fs::read(into.join("mnt/hello.txt")).expect("named as the directory is"), files()[4].1);
    image
        .shell(&format!(
            "cp / '{}'
",
            text(&into)
        ))
        .failed(&["the copy needs a name of its own"]);
}

#[test]
fn mounting_and_unmounting() {
    let image = Image::tree();
    let path = image.path();
    let path = text(&path);
    // Devices come and go with their mounts; a name that is in use is not given again.
    let script = format!(
        "mount tarfs '{path}' /one\nmount tarfs '{path}' /two\numount /one\nmount tarfs '{path}' /one -o ro\ncat /one/hello.txt\n\
         mounts\numount /two\numount /one\nmounts\nload idle\nunload idle\nmodstat\n"
    );
    let outcome = run_with(&["shell", "--modules", text(samples())], script.as_bytes()).succeeded();
    let lines = outcome.lines();
    assert_eq!(
        lines[..3],
        ["hello, world", "/dev/image1 on /two type tarfs (read-only)", "/dev/image2 on /one type tarfs (read-only)"]
    );
    assert!(lines[3].starts_with("NAME") && lines.len() == 6, "{lines:?}");
}

#[test]
fn what_is_held_is_what_was_held() {
    let image = Image::tree();
    let path = image.path();
    let cycle = format!("mount tarfs '{}' /more\nwalk /more\numount /more\n", text(&path));
    let outcome = image.shell(&format!("{cycle}usage\n{}usage\n", cycle.repeat(20))).succeeded();
    let lines = outcome.lines();
    let shown: Vec<&str> = lines.iter().copied().filter(|line| !hashes().contains(line)).collect();
    let (first, last) = shown.split_at(shown.len() / 2);
    assert_eq!(first, last);
    let names: Vec<&str> = first.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, ["memory", "vnodes", "buffers", "names", "mounts"]);
    assert_eq!(first[4], "mounts: 1");
}

#[test]
fn errors_do_not_end_a_script_but_its_status_tells() {
    let script = "cat nowhere\nfrobnicate\nls 'open\ncd hello.txt\numount /mnt\nmount tarfs /no/image /x\nload absent\numount /nothing\npwd\n";
    let outcome = Image::tree().shell(script).failed(&[
        "line 1: open /mnt/nowhere: no such file or directory (ENOENT)",
        "line 2: unrecognized subcommand 'frobnicate'",
        "line 3: a quote is not closed",
        "line 4: cd /mnt/hello.txt: not a directory",
        "line 5: unmount /mnt: the shell is in it",
        "line 6: image /no/image",
        "line 7: loading absent",
        "line 8: unmount /nothing",
    ]);
    assert_eq!(outcome.text(), "/mnt\n");
    assert_eq!(Image::tree().shell("exit\ncat nowhere\n").succeeded().text(), "", "nothing is read behind exit");
}

#[test]
fn what_can_be_read_of_a_damaged_image_is_printed() {
    let image = Image::tree();
    let path = image.path();
    let arguments = ["shell", "--modules", text(samples()), "--type", "tarfs", "--image", text(&path)];
    let mut child = command(&arguments).stdin(Stdio::piped()).spawn().expect("the tool starts");
    let (mut input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut output = BufReader::new(output);
    input.write_all(b"pwd\n").expect("it reads");
    let mut line = String::new();
    output.read_line(&mut line).expect("it answers");
    assert_eq!(line, "/mnt\n", "it is mounted");
    // Of the large file, the second in the image, the end is gone, and of all behind it everything.
    File::options().write(true).open(&path).and_then(|file| file.set_len(100_000)).expect("cut short");
    input.write_all(b"walk\n").expect("it reads");
    drop(input);
    let mut lines = String::new();
    output.read_to_string(&mut lines).expect("it ends");
    let outcome: crate::support::Outcome = child.wait_with_output().expect("it ends").into();
    let outcome = outcome.failed(&["read /mnt/deep/big: ", "read /mnt/hello.txt: ", "read /mnt/zürich: "]);
    let good = |line: &&str| ["/A file", "/deep/a/b/c/leaf", "/empty"].iter().any(|path| line.ends_with(path));
    let expected: String = hashes().split_inclusive('\n').filter(|line| good(&line.trim_end())).collect();
    assert_eq!(lines, expected, "{}", outcome.errors);
}
