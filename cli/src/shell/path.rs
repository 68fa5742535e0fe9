//! Paths as they are typed: from the directory the shell is in.

/// `path` as the kernel takes it, for a shell in `current`.
pub fn joined(current: &[u8], path: &[u8]) -> Vec<u8> {
    match path {
        b"" => current.to_vec(),
        _ if path.starts_with(b"/") => path.to_vec(),
        _ if current.ends_with(b"/") => [current, path].concat(),
        _ => [current, b"/", path].concat(),
    }
}

/// An absolute path without `.`, `..` and empty components; `..` leads to where one came from, also out of a symbolic link.
pub fn plain(path: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    [b"/", components.join(&b'/').as_slice()].concat()
}

/// Whether `path` is `directory` or lies below it; both as [`plain`] makes them.
pub fn within(path: &[u8], directory: &[u8]) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => directory.ends_with(b"/") || rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_where_the_shell_is() {
        assert_eq!(joined(b"/mnt", b"a/.."), b"/mnt/a/..");
        assert_eq!(joined(b"/", b"a"), b"/a");
        assert_eq!(joined(b"/mnt", b"/a"), b"/a");
        assert_eq!(joined(b"/mnt", b""), b"/mnt");
    }

    #[test]
    fn plain_paths() {
        for (path, expected) in [("/", "/"), ("/a//b/./c/", "/a/b/c"), ("/a/../b", "/b"), ("/../..", "/"), ("/a/b/../../..", "/")]
        {
            assert_eq!(plain(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn below_a_directory() {
        assert!(within(b"/mnt", b"/mnt") && within(b"/mnt/a", b"/mnt") && within(b"/a", b"/"));
        assert!(!within(b"/mntx", b"/mnt") && !within(b"/", b"/mnt"));
    }
}
