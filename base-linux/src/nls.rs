//! Character sets that modules register, and their use.

use crate::Error;
use crate::abi::get;
use crate::arch;
use crate::export::{Export, function};
use crate::kern::errno::EINVAL;
use crate::kernel::{Kernel, kernel};
use crate::module::Trigger;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

/// `EBUSY`: what registering twice gives.
const EBUSY: i32 = 16;
/// Most bytes of a character in any set (`NLS_MAX_CHARSET_SIZE`).
const MAX_CHARACTER: usize = 6;
/// Longest name of a set in bytes.
const MAX_NAME: usize = 64;

/// A registered set and where its structures are.
#[derive(Clone, Debug)]
struct Registered {
    name: String,
    alias: Option<String>,
    table: usize,
    /// Its `struct module`.
    owner: u64,
}

/// What is registered.
#[derive(Debug, Default)]
pub(crate) struct State {
    tables: Vec<Registered>,
}

/// Text of a C string that module code passes; `None` for null, or what is no name.
///
/// # Safety
/// The address must be 0 or that of a C string.
unsafe fn text(address: usize) -> Option<String> {
    if address == 0 {
        return None;
    }
    // SAFETY: as the caller says.
    let text = unsafe { CStr::from_ptr(core::ptr::with_exposed_provenance(address)) };
    text.to_str().ok().filter(|text| (1..=MAX_NAME).contains(&text.len())).map(ToString::to_string)
}

unsafe extern "C" fn register(table: usize, owner: u64) -> i32 {
    let layout = &kernel().abi.nls_table;
    // SAFETY: module code passes a `struct nls_table` and its own `struct module`.
    let (name, alias, next) =
        unsafe { (text(get(table, layout.charset)), text(get(table, layout.alias)), get::<usize>(table, layout.next)) };
    let Some(name) = name else { return -EINVAL };
    let mut state = kernel().nls.lock();
    if next != 0 || state.tables.iter().any(|registered| registered.table == table) {
        return -EBUSY;
    }
    // SAFETY: as above.
    unsafe { crate::abi::put(table, layout.owner, owner) };
    state.tables.push(Registered { name, alias, table, owner });
    0
}

unsafe extern "C" fn unregister(table: usize) -> i32 {
    let mut state = kernel().nls.lock();
    let before = state.tables.len();
    state.tables.retain(|registered| registered.table != table);
    if state.tables.len() < before { 0 } else { -EINVAL }
}

/// Brings a set in from within module code. Should the init of that set's module end the instance, the names that the frames in
/// between hold are lost: some bytes, once.
unsafe extern "C" fn load(name: usize) -> usize {
    // SAFETY: module code passes a C string.
    let Some(name) = (unsafe { text(name) }) else { return 0 };
    kernel().take_charset(&name).map_or(0, |registered| registered.table)
}

unsafe extern "C" fn unload(table: usize) {
    if table != 0 {
        // SAFETY: module code passes what `load` gave it.
        kernel().release(unsafe { get(table, kernel().abi.nls_table.owner) });
    }
}

/// Reads one character of UTF-8: its bytes, or -1.
unsafe extern "C" fn utf8_to_utf32(bytes: *const u8, len: i32, character: *mut u32) -> i32 {
    let len = usize::try_from(len).unwrap_or(0).min(4);
    // SAFETY: module code passes a buffer of that many bytes and a place for the character.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, len) };
    let valid = bytes.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    let Some(found) = valid else { return -1 };
    // SAFETY: as above.
    unsafe { character.write(u32::from(found)) };
    found.len_utf8() as i32
}

/// Writes one character as UTF-8: its bytes, or -1.
unsafe extern "C" fn utf32_to_utf8(character: u32, to: *mut u8, room: i32) -> i32 {
    if to.is_null() {
        return 0;
    }
    let mut buffer = [0; 4];
    let Some(text) = char::from_u32(character).map(|found| found.encode_utf8(&mut buffer)) else { return -1 };
    if usize::try_from(room).unwrap_or(0) < text.len() {
        return -1;
    }
    // SAFETY: module code passes a buffer of `room` bytes.
    unsafe { core::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len()) };
    text.len() as i32
}

/// Adds the services.
pub(crate) fn exports(out: &mut Vec<Export>) {
    out.extend([
        function!("__register_nls", register),
        function!("unregister_nls", unregister),
        function!("load_nls", load),
        function!("unload_nls", unload),
        function!("utf8_to_utf32", utf8_to_utf32),
        function!("utf32_to_utf8", utf32_to_utf8),
    ]);
}

/// A character set of a module. Dropping it gives the module back.
pub struct Charset<'k> {
    kernel: &'k Kernel,
    registered: Registered,
}

impl Kernel {
    /// The names of the registered character sets, in the order of their registration.
    #[must_use]
    pub fn charsets(&self) -> Vec<String> {
        self.nls.lock().tables.iter().map(|registered| registered.name.clone()).collect()
    }

    /// The character set `name`, autoloading the module that has it.
    ///
    /// # Errors
    /// [`Error::NotRegistered`], or what [`autoload`](Self::autoload) gives.
    pub fn charset(&self, name: &str) -> Result<Charset<'_>, Error> {
        let registered = self.take_charset(name)?;
        Ok(Charset { kernel: self, registered })
    }

    pub(crate) fn has_charset(&self, name: &str) -> bool {
        self.find_charset(name).is_some()
    }

    fn find_charset(&self, name: &str) -> Option<Registered> {
        let state = self.nls.lock();
        let fits = |registered: &&Registered| registered.name == name || registered.alias.as_deref() == Some(name);
        state.tables.iter().find(fits).cloned()
    }

    /// Finds the set, autoloading its module, and holds that.
    fn take_charset(&self, name: &str) -> Result<Registered, Error> {
        self.autoload(Trigger::Charset(name))?;
        let registered = self.find_charset(name).filter(|registered| self.hold(registered.owner));
        registered.ok_or_else(|| Error::NotRegistered { name: name.to_string() })
    }

    /// Takes registrations back whose structures lie where `gone` says.
    pub(crate) fn forget_charsets(&self, gone: impl Fn(u64) -> bool) {
        self.nls.lock().tables.retain(|registered| !gone(registered.table as u64));
    }
}

impl Charset<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.registered.name
    }

    fn function(&self, offset: usize) -> Result<usize, Error> {
        // SAFETY: the table was registered, and its module is held.
        match unsafe { get(self.registered.table, offset) } {
            0 => Err(Error::NotRegistered { name: self.registered.name.clone() }),
            function => Ok(function),
        }
    }

    /// The bytes of a 16-bit character; `None` if the set has no such character.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn encode(&self, character: u16) -> Result<Option<Vec<u8>>, Error> {
        let function = self.function(self.kernel.abi.nls_table.from_unicode)?;
        let mut bytes = [0_u8; MAX_CHARACTER];
        let arguments = [u64::from(character), bytes.as_mut_ptr().expose_provenance() as u64, bytes.len() as u64];
        // SAFETY: it is the table's function, with the arguments it documents.
        let answer = self.kernel.enter(|| unsafe { arch::call(function, &arguments) })? as i32;
        Ok(usize::try_from(answer).ok().and_then(|len| bytes.get(..len)).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec))
    }

    /// The first character of `bytes` and how many bytes it has; `None` if they begin with none.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn decode(&self, bytes: &[u8]) -> Result<Option<(u16, usize)>, Error> {
        let function = self.function(self.kernel.abi.nls_table.to_unicode)?;
        let mut character = 0_u16;
        let len = bytes.len().min(MAX_CHARACTER);
        let to = (&raw mut character).expose_provenance() as u64;
        let arguments = [bytes.as_ptr().expose_provenance() as u64, len as u64, to];
        // SAFETY: it is the table's function, with the arguments it documents.
        let answer = self.kernel.enter(|| unsafe { arch::call(function, &arguments) })? as i32;
        let used = usize::try_from(answer).ok().filter(|used| (1..=len).contains(used));
        Ok(used.map(|used| (character, used)))
    }

    /// The other case of a byte, where the set has tables of case; the byte itself where the table has 0.
    fn case(&self, offset: usize, byte: u8) -> u8 {
        // SAFETY: the table was registered, and its module is held.
        let table: usize = unsafe { get(self.registered.table, offset) };
        if table == 0 {
            return byte;
        }
        // SAFETY: tables of case have 256 bytes.
        match unsafe { get::<u8>(table, usize::from(byte)) } {
            0 => byte,
            other => other,
        }
    }

    /// The lower case of a byte.
    #[must_use]
    pub fn lower(&self, byte: u8) -> u8 {
        self.case(self.kernel.abi.nls_table.lower, byte)
    }

    /// The upper case of a byte.
    #[must_use]
    pub fn upper(&self, byte: u8) -> u8 {
        self.case(self.kernel.abi.nls_table.upper, byte)
    }
}

impl Drop for Charset<'_> {
    fn drop(&mut self) {
        self.kernel.release(self.registered.owner);
    }
}
