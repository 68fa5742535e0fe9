//! Every sample module compiles for every target.

use rumpload_test_modules::{NAMES, Target, build};

#[test]
fn all_modules_compile_for_all_targets() {
    for target in Target::ALL {
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(target.name);
        let built = build(&target, &directory).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        assert_eq!(built.names, NAMES);
        for name in NAMES {
            let bytes = std::fs::read(built.path(name)).unwrap();
            assert_eq!(&bytes[..4], b"\x7fELF", "{name}");
            assert_eq!(bytes[4], if target.pointer == 8 { 2 } else { 1 }, "{name}");
        }
    }
}
