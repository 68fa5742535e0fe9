//! Instructions, one a line: a verb and its arguments, separated by blanks. `!` before the verb: it has to fail. In paths `%` and
//! two hexadecimal digits are a byte.

use crate::{bench, walk};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use rumpload::resource::{Console, HostError, HostErrorKind};
use rumpload_l4::{Action, Connection, Failure, Mount, RemoteConsole, RemoteFiles};

/// Why an instruction was not carried out, or not as it says.
pub enum Error {
    /// The request failed.
    Failure(Failure),
    /// It should have failed.
    Success,
    /// The instruction cannot be read, or what came back is wrong.
    Wrong(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => failure.fmt(f),
            Self::Success => f.write_str("it succeeded"),
            Self::Wrong(text) => f.write_str(text),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        Self::Failure(error.into())
    }
}

/// The client's connections.
pub struct Session {
    rump: Arc<Connection>,
    files: RemoteFiles,
    /// To the domain with the console, which also takes plans of faults.
    services: Arc<Connection>,
    console: RemoteConsole,
}

impl Session {
    /// A session with the domain with the library and the one with the console.
    pub fn new(rump: Arc<Connection>, services: Arc<Connection>) -> Result<Self, HostError> {
        let (files, console) = (RemoteFiles::new(&rump)?, RemoteConsole::new(&services)?);
        Ok(Self { rump, files, services, console })
    }

    /// Carries out one instruction.
    pub fn line(&self, line: &str) -> Result<(), Error> {
        let (fails, rest) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let words: Vec<&str> = rest.split(' ').filter(|word| !word.is_empty()).collect();
        match (self.run(&words), fails) {
            (Err(Error::Failure(failure)), true) => {
                self.say(&format!("failed as it should: {rest}: {failure}"));
                Ok(())
            }
            (Ok(()), true) => Err(Error::Success),
            (result, _) => result,
        }
    }

    pub fn say(&self, text: &str) {
        self.console.write(text);
        self.console.write("\n");
    }

    fn run(&self, words: &[&str]) -> Result<(), Error> {
        match *words {
            ["mount", kind, path, device, ref options @ ..] => {
                let options = options.first().copied().unwrap_or_default();
                let mount = Mount { kind, path: &bytes(path)?, device: number(device)? as u32, read_only: true, options };
                Ok(self.files.mount(&mount)?)
            }
            ["unmount", path] => Ok(self.files.unmount(&bytes(path)?, false)?),
            ["walk", path] => walk::walk(&self.files, &bytes(path)?, &mut |line| self.say(line)),
            ["cat", path] => walk::cat(&self.files, &bytes(path)?, &mut |line| self.say(line)),
            ["stat", path] => {
                let stat = self.files.stat(&bytes(path)?)?;
                self.say(&format!("stat {path} {:?} {:o} {} bytes", stat.kind, stat.mode, stat.size));
                Ok(())
            }
            ["ping"] => Ok(self.rump.ping()?),
            // After the domain with the library was started anew.
            ["greet"] => Ok(self.rump.greet().map(drop)?),
            ["status"] => {
                let status = self.files.status()?;
                let (modules, mounts, open) = (status.modules, status.mounts, status.open_files);
                let (heap, peak) = (status.heap, status.heap_peak);
                self.say(&format!("modules {modules} mounts {mounts} open {open} heap {heap} peak {peak}"));
                Ok(())
            }
            // Nothing is left open, and as many modules and mounts are there as said.
            ["expect", modules, mounts] => {
                let status = self.files.status()?;
                let found = (status.modules, status.mounts, status.open_files);
                let wanted = (number(modules)?, number(mounts)?, 0);
                if found == wanted { Ok(()) } else { Err(Error::Wrong(format!("{found:?} instead of {wanted:?}"))) }
            }
            ["fault", nth, ref action @ ..] => Ok(self.services.plan_fault(number(nth)?, self::action(action)?).map(drop)?),
            ["each", count, ref rest @ ..] => self.each_fault(number(count)?, rest),
            ["cold", count, killer, ref rest @ ..] => self.cold_faults(number(count)?, killer, rest),
            ["bench", kind] => bench::bench(&self.rump, &self.services, &self.files, kind, &mut |line| self.say(line)),
            _ => Err(Error::Wrong("no such instruction".to_string())),
        }
    }

    /// Mounts, reads and unmounts.
    fn attempt(&self, [kind, path, file]: [&str; 3]) -> Result<(), Error> {
        self.files.mount(&Mount { kind, path: path.as_bytes(), device: 0, read_only: true, options: "" })?;
        let read = walk::read(&self.files, file.as_bytes(), &mut |_| {});
        let unmounted = self.files.unmount(path.as_bytes(), true);
        read?;
        Ok(unmounted?)
    }

    /// Makes an attempt with a fault at the `nth` answer of the host, which may end in an error, and one without, which must
    /// not. Whether the fault happened, and whether it led to an error.
    fn with_fault(&self, nth: u64, what: [&str; 3], action: Action) -> Result<(bool, bool), Error> {
        let struck = self.services.plan_fault(nth, action)?;
        let failed = self.attempt(what).is_err();
        let happened = self.services.plan_fault(0, action)? > struck;
        if !happened {
            self.drain(struck, action)?;
        }
        self.attempt(what)?;
        Ok((happened, failed))
    }

    /// Attempts with a fault at the first answer of the host, then at the second, and so on up to `count` or until the fault no
    /// longer happens; nothing may be left of any.
    fn each_fault(&self, count: u64, words: &[&str]) -> Result<(), Error> {
        let [kind, path, file, ref action @ ..] = *words else { return Err(Error::Wrong("type, path, file, fault".to_string())) };
        let (what, action) = ([kind, path, file], self::action(action)?);
        // Tables grow to their size in a first round, also those that only errors need.
        self.attempt(what)?;
        self.with_fault(1, what, action)?;
        let before = self.files.status()?;
        let (mut errors, mut last) = (0, 0);
        for nth in 1..=count {
            let (happened, failed) = self.with_fault(nth, what, action)?;
            if !happened {
                break;
            }
            last = nth;
            errors += u64::from(failed);
            let after = self.files.status()?;
            if (after.open_files, after.mounts) != (0, before.mounts) {
                return Err(Error::Wrong(format!("left after fault {nth}: {after:?}")));
            }
        }
        let after = self.files.status()?;
        if after.heap > before.heap {
            return Err(Error::Wrong(format!("the heap grew from {} to {} bytes", before.heap, after.heap)));
        }
        self.say(&format!("faults at {last} answers: {errors} errors"));
        Ok(())
    }

    /// As [`each_fault`](Self::each_fault), each time in a domain that was just started, by a mount of type `killer`, so that the
    /// answers are those to loading the module too.
    fn cold_faults(&self, count: u64, killer: &str, words: &[&str]) -> Result<(), Error> {
        let [kind, path, file, ref action @ ..] = *words else { return Err(Error::Wrong("type, path, file, fault".to_string())) };
        let (what, action) = ([kind, path, file], self::action(action)?);
        let mut errors = 0;
        for nth in 1..=count {
            if self.attempt([killer, path, file]).is_ok() {
                return Err(Error::Success);
            }
            self.rump.greet()?;
            let (happened, failed) = self.with_fault(nth, what, action)?;
            if !happened {
                return Err(Error::Wrong(format!("fault {nth} never happened")));
            }
            errors += u64::from(failed);
        }
        self.say(&format!("faults at {count} answers from cold: {errors} errors"));
        Ok(())
    }

    /// Has the planned fault happen in requests that do not matter.
    fn drain(&self, struck: u64, action: Action) -> Result<(), Error> {
        for _ in 0..1000 {
            if self.services.plan_fault(0, action)? > struck {
                return Ok(());
            }
            // One answer of the host each, whatever it is.
            let _ = self.files.status();
        }
        Err(Error::Wrong("a planned fault never happened".to_string()))
    }
}

fn number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| Error::Wrong(format!("no number: {text}")))
}

/// The bytes that a path stands for.
fn bytes(text: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| byte == b'%').and_then(|digits| core::str::from_utf8(digits).ok());
        let (byte, tail) = match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => (byte, &tail[2..]),
            Some(Err(_)) => return Err(Error::Wrong(format!("no path: {text}"))),
            None => (byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    Ok(bytes)
}

fn action(words: &[&str]) -> Result<Action, Error> {
    Ok(match *words {
        ["fail"] => Action::Fail(HostErrorKind::Io),
        ["delay", milliseconds] => Action::Delay(Duration::from_millis(number(milliseconds)?)),
        ["truncate"] => Action::Truncate,
        ["garble", seed] => Action::Garble(number(seed)?),
        ["garble-window", seed] => Action::GarbleWindow(number(seed)?),
        _ => return Err(Error::Wrong("no such fault".to_string())),
    })
}
