//! The lines of a trace: a call and its result in one line, unless calls happened in between; equal lines in a row folded.

use super::show::Names;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// A call that is going on.
pub(crate) struct Frame {
    pub(super) name: &'static str,
    /// Where its return address lies.
    pub(super) slot: *mut usize,
    /// That address.
    pub(super) back: usize,
}

/// Calls of a context that are going on, the innermost last.
pub(crate) type Calls = Vec<Frame>;

#[derive(Default)]
pub(super) struct Journal {
    pub(super) names: Names,
    frames: Calls,
    /// The innermost call, if nothing happened in it yet.
    open: Option<String>,
    /// The last line, and how often it came.
    last: Option<(String, u32)>,
}

impl Journal {
    /// A call begins; answers text to write.
    pub(super) fn begin(&mut self, shown: String, frame: Frame) -> String {
        let mut text = String::new();
        self.settle(&mut text);
        self.open = Some(format!("{}{shown}", indentation(self.frames.len())));
        self.frames.push(frame);
        text
    }

    /// The innermost call ends; answers text to write, and where the call returns to.
    pub(super) fn end(&mut self, result: usize) -> (String, usize) {
        let mut text = String::new();
        let Some(Frame { name, back, .. }) = self.frames.pop() else { return (text, 0) };
        let result = self.names.shown(result);
        let line = match self.open.take() {
            Some(call) => format!("{call} = {result}"),
            None => format!("{}... {name} = {result}", indentation(self.frames.len())),
        };
        self.line(line, &mut text);
        (text, back)
    }

    /// Another context goes on: exchanges the calls that are going on; answers text to write.
    pub(super) fn switch(&mut self, calls: &mut Calls) -> String {
        let mut text = String::new();
        self.settle(&mut text);
        core::mem::swap(&mut self.frames, calls);
        text
    }

    /// Forgets the calls that are going on, outermost first.
    pub(super) fn abandon(&mut self) -> Calls {
        core::mem::take(&mut self.frames)
    }

    /// What is not written yet.
    pub(super) fn finish(&mut self) -> String {
        let mut text = String::new();
        self.settle(&mut text);
        self.write_last(&mut text);
        text
    }

    /// The innermost call turns out to take more than a line.
    fn settle(&mut self, text: &mut String) {
        if let Some(call) = self.open.take() {
            self.line(call, text);
        }
    }

    fn line(&mut self, line: String, text: &mut String) {
        match &mut self.last {
            Some((last, count)) if *last == line => *count += 1,
            _ => {
                self.write_last(text);
                self.last = Some((line, 1));
            }
        }
    }

    fn write_last(&mut self, text: &mut String) {
        // A string grows: writing to it does not fail.
        let _ = match self.last.take() {
            Some((line, 1)) => writeln!(text, "{line}"),
            Some((line, count)) => writeln!(text, "{line}   [x{count}]"),
            None => Ok(()),
        };
    }
}

fn indentation(depth: usize) -> &'static str {
    const SPACES: &str = "                                        ";
    &SPACES[..SPACES.len().min(2 * depth)]
}

#[cfg(test)]
mod tests {
    use super::{Frame, Journal};
    use alloc::string::String;

    fn begin(journal: &mut Journal, name: &'static str, text: &mut String) {
        let frame = Frame { name, slot: core::ptr::null_mut(), back: 7 };
        text.push_str(&journal.begin(std::format!("{name}(1)"), frame));
    }

    fn end(journal: &mut Journal, result: usize, text: &mut String) {
        let (more, back) = journal.end(result);
        assert_eq!(back, 7);
        text.push_str(&more);
    }

    #[test]
    fn each_context_has_calls_of_its_own() {
        let (mut journal, mut text, mut other) = (Journal::default(), String::new(), super::Calls::new());
        begin(&mut journal, "sleep", &mut text);
        text.push_str(&journal.switch(&mut other));
        begin(&mut journal, "wake", &mut text);
        end(&mut journal, 0, &mut text);
        text.push_str(&journal.switch(&mut other));
        end(&mut journal, 1, &mut text);
        text.push_str(&journal.finish());
        assert_eq!(text, "sleep(1)\nwake(1) = 0\n... sleep = 1\n");
    }

    #[test]
    fn calls_nest_and_equal_lines_are_folded() {
        let (mut journal, mut text) = (Journal::default(), String::new());
        begin(&mut journal, "outer", &mut text);
        for result in [0, 0, 0, 5] {
            begin(&mut journal, "inner", &mut text);
            end(&mut journal, result, &mut text);
        }
        end(&mut journal, usize::MAX, &mut text);
        begin(&mut journal, "last", &mut text);
        assert_eq!(text, "outer(1)\n  inner(1) = 0   [x3]\n  inner(1) = 5\n");
        assert_eq!(journal.finish(), "... outer = -1\nlast(1)\n");
        assert_eq!((journal.abandon().len(), journal.finish().as_str()), (1, ""));
    }
}
