/// Where a server's messages go.
pub trait Console: Send + Sync {
    /// Writes `text`, which may hold part of a line or several lines. A console that cannot print drops the text: there is
    /// nobody left to tell.
    fn write(&self, text: &str);
}

/// A console that prints nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Console for Silent {
    fn write(&self, _text: &str) {}
}
