use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// A thread that calls a function again and again, for clocks which module code reads without entering its kernel. Dropping it
/// stops the calls.
#[derive(Debug)]
pub struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Calls `tick` every `period`.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(period: Duration, tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let run = move || {
            while matches!(stopped.recv_timeout(period), Err(RecvTimeoutError::Timeout)) {
                tick();
            }
        };
        let thread = Builder::new().name("rumpload-ticker".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A tick that panicked has said so already.
            let _ = thread.join();
        }
    }
}
