//! Loading: a module and what it requires, in the order of checks that NetBSD's `module_do_load` has, with whole roll-back.

use super::export::{Offer, Shared, may_repeat};
use super::file::ModuleFile;
use super::{
    CLASS_MAX, Class, Command, Control, Era, Error, LoadFlags, Module, ModuleFlags, ModuleId, Pending, Refusal, Request, Source,
    SymbolMap,
};
use crate::address::SymbolIndex;
use crate::autoload::Trigger;
use crate::errno;
use crate::error::LinkError;
use crate::flavour::Flavour;
use crate::image::{Binding, Definition, Image};
use crate::instance::Instance;
use crate::load::{Linked, Options};
use crate::metadata::netbsd::Modinfo;
use crate::properties::{Properties, TOO_LARGE};
use crate::resolve::Resolved;
use crate::resource::EtfsError;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Longest module name in bytes, NUL included (`MAXMODNAME`).
const MAX_NAME: usize = 32;
/// Longest path in bytes, NUL included (`MAXPATHLEN`), and longest component.
const MAX_PATH: usize = 1024;
const MAX_COMPONENT: usize = 255;
/// Largest module file in bytes.
const MAX_FILE: u64 = 256 << 20;

/// An explicit request to load a module.
#[derive(Clone, Debug, Default)]
pub struct Load<'a> {
    /// A module name, or a path inside the instance if it holds a `/`.
    pub name: &'a str,
    /// Flags.
    pub flags: LoadFlags,
    /// Properties for the module's init; they override those of its property list.
    pub properties: Option<Properties>,
    /// The class the module must have, if any.
    pub class: Option<Class>,
}

/// What the outermost request asked for; requirements inherit the flags only.
struct Wanted<'r> {
    flags: LoadFlags,
    class: Class,
    autoload: bool,
    properties: Option<&'r Properties>,
}

/// What became of the start of a request.
enum Begun {
    /// It is there.
    Active(ModuleId),
    /// It was read and waits for its requirements.
    Pending,
}

impl Instance {
    /// Loads a module and what it requires.
    ///
    /// # Errors
    /// [`Error`], with [`Error::errno`] as `modctl(2)` documents it. Requirements that the request brought in are unloaded again,
    /// unless the instance keeps them.
    pub fn load(&self, load: &Load<'_>) -> Result<(), Error> {
        self.enter(|| {
            if load.name.len() >= MAX_PATH {
                return Err(Error::BadName { name: abbreviated(load.name), errno: errno::ENAMETOOLONG });
            }
            let late = self.config.version.era() == Era::Netbsd7;
            let active = || match self.state.lock().active_named(load.name) {
                Some(_) => Err(Error::Exists { module: load.name.into() }),
                None => Ok(()),
            };
            if !late {
                active()?;
            }
            self.permit(self.config.policy.explicit(load.name), load.name)?;
            let class = load.class.unwrap_or(Class::Any);
            let wanted = Wanted { flags: load.flags, class, autoload: false, properties: load.properties.as_ref() };
            self.load_tree(load.name, &wanted).map(|_| ())
        })?
    }

    /// Brings in the module that `trigger` asks for.
    ///
    /// # Errors
    /// [`Error`]: why it was refused or could not be loaded, in full. A module that is active already is no error.
    pub fn autoload(&self, trigger: &Trigger<'_>) -> Result<(), Error> {
        self.enter(|| {
            let name = trigger.module_name();
            let refuse = |why| Err(Error::Refused { module: abbreviated(&name), why });
            if !self.state.lock().autoload {
                return refuse(Refusal::AutoloadOff);
            }
            if name.contains(['/', '@', '.']) || name.contains(char::is_control) {
                return refuse(Refusal::BadCharacter);
            }
            if name.is_empty() {
                return Err(Error::BadName { name, errno: errno::ENOENT });
            }
            if name.len() >= MAX_NAME {
                return Err(Error::BadName { name: abbreviated(&name), errno: errno::ENAMETOOLONG });
            }
            self.permit(self.config.policy.autoload(trigger, &name), &name)?;
            let wanted = Wanted { flags: LoadFlags::empty(), class: trigger.class(), autoload: true, properties: None };
            match self.load_tree(&name, &wanted) {
                Ok(_) | Err(Error::Exists { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })?
    }

    fn permit(&self, verdict: Result<(), Refusal>, name: &str) -> Result<(), Error> {
        verdict.map_err(|why| Error::Refused { module: name.into(), why })
    }

    fn load_tree(&self, name: &str, wanted: &Wanted<'_>) -> Result<ModuleId, Error> {
        self.state.lock().requests.push(Request::default());
        let result = self.run_request(name, wanted);
        let request = self.state.lock().requests.pop().unwrap_or_default();
        result.map_err(|cause| if self.config.keep_dependencies { cause } else { self.roll_back(&request.brought, cause) })
    }

    /// Unloads what a failed request brought in, newest first. What somebody else uses by now stays.
    fn roll_back(&self, brought: &[ModuleId], cause: Error) -> Error {
        let mut stayed = Vec::new();
        for &id in brought.iter().rev() {
            let name = self.state.lock().any(id).filter(|module| module.references == 0).map(|module| module.name.clone());
            if let Some(name) = name
                && self.unload_inside(&name, false).is_err()
            {
                stayed.push(name);
            }
        }
        if stayed.is_empty() { cause } else { Error::NotRolledBack { modules: stayed, cause: Box::new(cause) } }
    }

    fn run_request(&self, name: &str, wanted: &Wanted<'_>) -> Result<ModuleId, Error> {
        if let Begun::Active(id) = self.begin(name, wanted, None)? {
            return Ok(id);
        }
        loop {
            let next = self.with_top(|top| {
                let next = top.requirements.get(top.next).cloned();
                top.next += 1;
                next
            });
            let done = match next {
                Some(required) => match self.begin(&required, wanted, Some(&required)) {
                    Ok(Begun::Active(id)) => Some(id),
                    Ok(Begun::Pending) => None,
                    Err(cause) => return Err(self.chain(cause, Some(required))),
                },
                None => {
                    let started = self.start_top(wanted);
                    let id = started.map_err(|cause| self.chain(cause, None))?;
                    let mut state = self.state.lock();
                    let Some(request) = state.requests.last_mut() else { return Ok(id) };
                    request.pending.pop();
                    if request.pending.is_empty() {
                        return Ok(id);
                    }
                    request.brought.push(id);
                    Some(id)
                }
            };
            if let Some(id) = done {
                self.with_top(|top| top.required.push(id));
            }
        }
    }

    /// Runs `work` on the innermost pending module of the innermost request.
    fn with_top<R: Default>(&self, work: impl FnOnce(&mut Pending) -> R) -> R {
        let mut state = self.state.lock();
        state.requests.last_mut().and_then(|request| request.pending.last_mut()).map(work).unwrap_or_default()
    }

    /// Wraps `cause` in the names of those that wanted the module: first `required`, then what is pending.
    fn chain(&self, cause: Error, required: Option<String>) -> Error {
        if matches!(cause, Error::Cycle { .. }) {
            return cause;
        }
        let state = self.state.lock();
        let Some(request) = state.requests.last() else { return cause };
        let mut error = cause;
        let mut names: Vec<&str> = request.pending.iter().map(|pending| pending.wanted.as_str()).collect();
        let required = match &required {
            Some(required) => Some(required.as_str()),
            None => names.pop(),
        };
        let mut required = required.unwrap_or("");
        for module in names.into_iter().rev() {
            error = Error::Requirement { module: module.into(), required: required.into(), cause: Box::new(error) };
            required = module;
        }
        error
    }

    /// Looks at one module: finds it active or built in, or reads and checks its file.
    fn begin(&self, name: &str, wanted: &Wanted<'_>, requirement: Option<&str>) -> Result<Begun, Error> {
        let era = self.config.version.era();
        let depth: usize = self.state.lock().requests.iter().map(|request| request.pending.len()).sum();
        if depth >= era.max_depth() {
            return Err(Error::TooDeep { module: name.into() });
        }
        let built_in = self.state.lock().builtins.iter().any(|builtin| builtin.info.name == name);
        if built_in {
            return self.start_builtin(name, wanted.flags).map(Begun::Active);
        }
        if let Some(module) = self.state.lock().active_named(name) {
            return if requirement.is_some() { Ok(Begun::Active(module.id)) } else { Err(Error::Exists { module: name.into() }) };
        }
        let autoload = wanted.autoload || requirement.is_some();
        let pending = self.read_module(name, wanted, autoload)?;
        if requirement.is_some() && pending.name != name {
            return Err(Error::WrongName { wanted: name.into(), found: pending.name });
        }
        let mut state = self.state.lock();
        if era != Era::Netbsd7 && state.active_named(&pending.name).is_some() {
            return Err(Error::Exists { module: pending.name });
        }
        let on_their_way = || state.requests.iter().flat_map(|request| &request.pending);
        if let Some(first) = on_their_way().position(|other| other.name == pending.name) {
            let mut path: Vec<String> = on_their_way().skip(first).map(|other| other.name.clone()).collect();
            path.push(pending.name);
            return Err(Error::Cycle { path });
        }
        if let Some(itself) = pending.requirements.iter().find(|required| **required == pending.name) {
            return Err(Error::Cycle { path: [pending.name.clone(), itself.clone()].into() });
        }
        if let Some(request) = state.requests.last_mut() {
            request.pending.push(pending);
        }
        Ok(Begun::Pending)
    }

    /// Reads a module's file and property list and checks what can be checked before its requirements are there.
    fn read_module(&self, name: &str, wanted: &Wanted<'_>, autoload: bool) -> Result<Pending, Error> {
        let path = self.module_path(name, autoload)?;
        let failed = |error| Error::File { module: abbreviated(name), path: path.clone(), error };
        let link = |error| Error::Link { module: name.to_string(), path: path.clone(), error };
        let mut file = self.open_file(&path).and_then(|file| ModuleFile::read(file, MAX_FILE)).map_err(failed)?;
        let (image, info) = loop {
            let image = file.image().map_err(link)?;
            let info = Modinfo::read(&image);
            if info.is_ok() || !file.is_partial() {
                break (image, info);
            }
            // It may lie in the code that was left in the file.
            file.complete().map_err(failed)?;
        };
        if image.machine() != self.config.machine {
            return Err(Error::Machine { module: name.into(), found: image.machine() });
        }
        let properties = self.read_properties(name, &path, wanted, autoload)?;
        let info = info.map_err(link)?;
        let own = info.name.to_string();
        if own.len() >= MAX_NAME {
            return Err(Error::BadName { name: abbreviated(&own), errno: errno::EINVAL });
        }
        let version = self.config.version;
        let era = version.era();
        if era == Era::Netbsd10 && (info.class == 0 || info.class >= CLASS_MAX) {
            return Err(Error::BadClass { module: own, found: info.class });
        }
        if !version.accepts(info.version) {
            if !wanted.flags.contains(LoadFlags::FORCE) {
                return Err(Error::Version { module: own, built_for: info.version, kernel: version.0 });
            }
            let warning = format!("WARNING: module {own} was built for kernel version {}, this is {}\n", info.version, version.0);
            self.host().console.write(&warning);
        }
        let first = self.state.lock().requests.last().is_none_or(|request| request.pending.is_empty());
        if first && wanted.class != Class::Any && wanted.class as u32 != info.class {
            return Err(Error::Class { module: own, found: info.class, wanted: wanted.class as u32 });
        }
        let mut requirements: Vec<String> = Vec::new();
        for required in required_names(info.required.unwrap_or("")) {
            if required.len() >= MAX_NAME - 1 || required.contains('/') {
                return Err(Error::BadName { name: abbreviated(required), errno: errno::EINVAL });
            }
            if requirements.len() == era.max_requirements() {
                return Err(Error::TooManyRequirements { module: own });
            }
            requirements.push(required.to_string());
        }
        let (class, required_text) = (info.class, info.required.unwrap_or("").to_string());
        let properties = if first { merged(properties, wanted.properties) } else { properties };
        Ok(Pending {
            wanted: name.into(),
            path,
            name: own,
            class,
            required_text,
            requirements,
            next: 0,
            required: Vec::new(),
            autoload,
            properties,
            file,
        })
    }

    /// The path a module's file is looked for at.
    fn module_path(&self, name: &str, autoload: bool) -> Result<String, Error> {
        if name.contains('\0') {
            return Err(Error::BadName { name: abbreviated(name), errno: errno::EINVAL });
        }
        if name.split('/').any(|component| component.len() > MAX_COMPONENT) {
            return Err(Error::BadName { name: abbreviated(name), errno: errno::ENAMETOOLONG });
        }
        match name.contains('/') {
            true if autoload => Err(Error::BadName { name: name.into(), errno: errno::ENOENT }),
            true => Ok(name.strip_prefix('.').filter(|rest| rest.starts_with('/')).unwrap_or(name).to_string()),
            false => Ok(format!("{}/{name}/{name}.kmod", self.module_base())),
        }
    }

    fn read_properties(&self, name: &str, path: &str, wanted: &Wanted<'_>, autoload: bool) -> Result<Option<Properties>, Error> {
        let unused = wanted.flags.contains(LoadFlags::NO_PROP);
        if unused && !autoload {
            return Ok(None);
        }
        let list = match path.strip_suffix(".kmod").filter(|stem| !stem.is_empty()) {
            Some(stem) => format!("{stem}.plist"),
            None => format!("{path}.plist"),
        };
        let bytes = match self.read_file(&list, TOO_LARGE - 1) {
            Ok(bytes) => bytes,
            Err(error) if error.errno() == errno::ENOENT => return Ok(None),
            Err(EtfsError::TooLarge) => return Err(Error::PropertiesTooLarge { module: name.into(), path: list }),
            Err(error) => return Err(Error::File { module: name.into(), path: list, error }),
        };
        let properties =
            Properties::parse(&bytes).map_err(|error| Error::Properties { module: name.into(), path: list, error })?;
        if autoload && properties.noautoload() {
            return Err(Error::Refused { module: name.into(), why: Refusal::NoAutoload });
        }
        Ok(Some(properties).filter(|_| !unused))
    }

    /// Links, starts and activates the innermost pending module, whose requirements are all there.
    fn start_top(&self, wanted: &Wanted<'_>) -> Result<ModuleId, Error> {
        let file = self.with_top(|top| core::mem::take(&mut top.file));
        let (name, path) = self.with_top(|top| (top.name.clone(), top.path.clone()));
        let (id, modcmd) = self.link_top(&file, &name, &path)?;
        // From here on the registry owns the module; nothing of this frame would be missed if init never came back.
        drop((file, path));
        let control = Control::Native(modcmd);
        let argument = {
            let properties = self.with_top(|top| top.properties.take());
            (self.config.hooks.properties)(self.context(), properties.as_ref())
        };
        drop(name);
        let errno = self.control(id, control, Command::Init, argument);
        (self.config.hooks.release_properties)(self.context(), argument);
        let module = || self.state.lock().any(id).map(|module| module.name.clone()).unwrap_or_default();
        if errno != 0 {
            let name = module();
            self.discard(id);
            return Err(Error::Init { module: name, errno });
        }
        let name = module();
        if self.state.lock().active_named(&name).is_some() {
            // Its own init loaded another module of the name.
            self.control(id, control, Command::Fini, 0);
            self.discard(id);
            return Err(Error::Exists { module: name });
        }
        let autoload = self.with_top(|top| top.autoload) || wanted.autoload;
        let autotime = self.state.lock().autotime;
        let due = if autoload && autotime > 0 {
            let now = self.host().clock.monotonic().unwrap_or_default();
            Some(now + Duration::from_secs(autotime.into()))
        } else {
            None
        };
        let mut state = self.state.lock();
        if let Some(module) = state.transient.iter_mut().find(|module| module.id == id)
            && due.is_some()
        {
            module.flags |= ModuleFlags::AUTO_LOADED;
            module.unload_at = due;
        }
        state.activate(id);
        Ok(id)
    }

    /// Links a module and hands it over to the registry as transient.
    fn link_top(&self, file: &ModuleFile, name: &str, path: &str) -> Result<(ModuleId, crate::address::RunAddr), Error> {
        let link = |error: LinkError| Error::Link { module: name.to_string(), path: path.to_string(), error };
        let image = file.image().map_err(link)?;
        let info = Modinfo::read(&image).map_err(link)?;
        let namespace = &self.config.namespace;
        let offers = self.offers(&image, name)?;
        let mut linker = core::mem::take(&mut *self.linker.lock());
        let options = Options { flavour: Flavour::NetBsd, namespace, placement: self.config.placement, per_cpu: 0 };
        let linked = linker.link_reading(&image, options, &Shared(&self.exports), &self.host().memory, file);
        *self.linker.lock() = linker;
        let linked = linked.map_err(link)?;
        let control = linked.modcmd(&info);
        Ok((self.register(&image, linked, &offers, control), control))
    }

    fn register(&self, image: &Image<'_>, linked: Linked, offers: &[Offer], modcmd: crate::address::RunAddr) -> ModuleId {
        let strings: Arc<str> = image.strings().into();
        let mut sections = Vec::new();
        for section in image.sections() {
            if let Some((at, size)) = linked.section(section.name()) {
                sections.push((section.name().to_string(), at, size));
            }
        }
        let (required, required_text) = self.with_top(|top| (top.required.clone(), top.required_text.clone()));
        let (name, class) = self.with_top(|top| (top.name.clone(), top.class));
        let id = self.state.lock().new_id();
        {
            let mut exports = self.exports.lock();
            for offer in offers {
                let Some(symbol) = image.raw_symbol(offer.symbol) else { continue };
                if let Some((value, kind)) = linked.offered(image, &symbol) {
                    exports.insert(offer, &strings, Resolved { value, kind }, symbol.size, id);
                }
            }
        }
        let functions = linked.functions(image).map(|function| (function.value.get(), function.name_at)).collect();
        let extent = (linked.reservation.run().get(), linked.reservation.len() as u64);
        let module = Module {
            id,
            name,
            class,
            source: Source::File,
            flags: ModuleFlags::empty(),
            references: 0,
            required,
            required_text,
            control: Control::Native(modcmd),
            text: linked.text(),
            sections,
            symbols: SymbolMap::new(strings, functions),
            unload_at: None,
            builtin: None,
            _memory: Some(linked.reservation),
            extent,
        };
        self.state.lock().transient.push(module);
        (self.config.hooks.code_changed)(self);
        id
    }

    /// The names that `module` is going to export; it is refused if one of them exists.
    fn offers(&self, image: &Image<'_>, module: &str) -> Result<Vec<Offer>, Error> {
        let namespace = &self.config.namespace;
        let exports = self.exports.lock();
        let (mut offers, mut redefined) = (Vec::new(), Vec::new());
        for (index, symbol) in image.raw_globals(image.format()).filter(|(_, symbol)| symbol.binding() == Binding::Global) {
            let definition = symbol.definition();
            let raw = image.symbol_name(symbol.name);
            if !matches!(definition, Definition::Section(_) | Definition::Absolute) || raw.is_empty() {
                continue;
            }
            let name = namespace.name(true, raw);
            let offer = Offer::new(SymbolIndex(index), name, symbol.name, raw.len());
            match exports.get(name) {
                None => offers.push(offer),
                Some((found, _)) => {
                    let same_number = definition == Definition::Absolute && found.value.get() == symbol.value;
                    if !same_number && !may_repeat(namespace, name) {
                        redefined.push(namespace.full(name));
                    }
                }
            }
        }
        if redefined.is_empty() { Ok(offers) } else { Err(Error::Redefined { module: module.into(), symbols: redefined }) }
    }

    /// Forgets a module that did not start.
    fn discard(&self, id: ModuleId) {
        self.exports.lock().remove(id);
        let module = {
            let mut state = self.state.lock();
            let index = state.transient.iter().position(|module| module.id == id);
            index.map(|index| state.transient.remove(index))
        };
        drop(module);
        (self.config.hooks.code_changed)(self);
    }
}

/// The modules that a requirement list names: one leading comma is skipped, an empty element ends the list.
fn required_names(list: &str) -> impl Iterator<Item = &str> {
    list.strip_prefix(',').unwrap_or(list).split(',').take_while(|name| !name.is_empty())
}

/// The request's properties over those of the file.
fn merged(file: Option<Properties>, request: Option<&Properties>) -> Option<Properties> {
    match (file, request) {
        (Some(mut file), Some(request)) => {
            file.merge(request);
            Some(file)
        }
        (file, request) => file.or_else(|| request.cloned()),
    }
}

/// A name short enough to print.
fn abbreviated(name: &str) -> String {
    match name.char_indices().nth(64) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_string(),
    }
}
