//! A volume comes into being, changes its name, and goes.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use wharf_sys::failpoint;

use crate::options::Wish;
use crate::row::{Backing, Volume};
use crate::{Error, LOCAL, Request, Result, Shared, Volumes, mount, options, size};

fn injected(name: &'static str) -> Result<()> {
    failpoint::hit(name).map_err(Error::io("fail point", Path::new(name)))
}

/// What files a new volume begins with.
type Contents<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> Result<()>;

impl Volumes {
    /// Makes a volume, or gives the one that is there with the same driver; and whether it is new.
    pub fn create(&self, request: Request) -> Result<(Arc<Volume>, bool)> {
        let name = request.name.clone();
        let _lock = self.shared.lock(&[&name]);
        if let Some(volume) = self.existing(&request)? {
            return Ok((volume, false));
        }
        let user = request.user.clone();
        let volume = self.make(request, None)?;
        if let Some(user) = user {
            self.acquire(&name, &user);
        }
        Ok((volume, true))
    }

    /// The volume of that name, taken into use.
    fn existing(&self, request: &Request) -> Result<Option<Arc<Volume>>> {
        let Request { name, driver, user, .. } = request;
        let found = self.shared.world().volumes.get(name).cloned();
        let Some(volume) = found else { return Ok(None) };
        if !driver.is_empty() && volume.driver != *driver {
            if driver != LOCAL {
                self.shared.plugins.find(driver).map_err(|e| named(name, e))?;
            }
            return Err(Error::Conflict(format!("create {name}: conflict: volume name must be unique")));
        }
        if let Some(user) = user {
            self.acquire(name, user);
        }
        Ok(Some(volume))
    }

    /// Makes the volume that is not there, with `contents`. The caller holds the name.
    pub(crate) fn make(&self, request: Request, contents: Option<Contents<'_>>) -> Result<Arc<Volume>> {
        let Request { name, driver, labels, options, now, .. } = request;
        let driver = if driver.is_empty() { LOCAL.to_owned() } else { driver };
        let backing = Backing::Folder;
        let mut volume = Volume { name, driver, created: now, labels, options, backing, comes_from: None };
        let shared = &*self.shared;
        if volume.driver != LOCAL {
            if contents.is_some() {
                let driver = &volume.driver;
                return Err(Error::Unsupported(format!(
                    "volumes of the driver {driver:?} cannot be made with contents: create the volume, then import into it"
                )));
            }
            return self.make_by_plugin(volume);
        }
        options::check_name(&volume.name)?;
        let wish = options::parse(&volume.name, volume.options.as_ref())?;
        match wish {
            Wish::Foreign(what) => volume.backing = Backing::Foreign(what),
            Wish::Folder if contents.is_none() => {}
            wish => return self.make_prepared(volume, wish, contents),
        }
        if contents.is_some() {
            return Err(Error::Unsupported("a volume with the options type and device has contents of its own".into()));
        }
        shared.put(&volume, None)?;
        injected("volume.create.after_row")?;
        let data = shared.data(&volume.name);
        fs::create_dir_all(&data).map_err(Error::io("mkdir", &data))?;
        injected("volume.create.after_folder")?;
        Ok(self.publish(volume))
    }

    fn publish(&self, volume: Volume) -> Arc<Volume> {
        let volume = Arc::new(volume);
        self.shared.world().volumes.insert(volume.name.clone(), volume.clone());
        volume
    }

    fn make_by_plugin(&self, mut volume: Volume) -> Result<Arc<Volume>> {
        if volume.name.is_empty() {
            return Err(Error::Invalid("volume name cannot be empty".into()));
        }
        let driver = self.shared.plugins.find(&volume.driver).map_err(|e| named(&volume.name, e))?;
        volume.driver = driver.name().to_owned();
        volume.backing = Backing::Plugin;
        // Docker asks first: several engines may share what a plugin has
        if driver.get(&volume.name)?.is_none() {
            driver.create(&volume.name, volume.options.as_ref()).map_err(|e| named(&volume.name, e))?;
        }
        self.shared.put(&volume, None)?;
        Ok(self.publish(volume))
    }

    /// Prepares a folder under another name; it gets its own when all of it is there.
    fn make_prepared(&self, mut volume: Volume, wish: Wish, contents: Option<Contents<'_>>) -> Result<Arc<Volume>> {
        let shared = &*self.shared;
        let staged = shared.fresh("new", &volume.name);
        let made = (|| {
            let data = staged.join("_data");
            fs::create_dir_all(&data).map_err(Error::io("mkdir", &data))?;
            if let Wish::Sized(limit) = wish {
                volume.backing = shared.limit(&staged, limit)?;
                injected("volume.create.after_size")?;
            }
            fill_staged(&staged, &volume.backing, contents)?;
            injected("volume.create.after_contents")?;
            volume.comes_from = staged.file_name().map(|name| name.to_string_lossy().into_owned());
            shared.put(&volume, None)
        })();
        if let Err(error) = made {
            discard(shared, &staged);
            return Err(error);
        }
        injected("volume.create.after_intent")?;
        self.arrive(volume)
    }

    /// Gives a prepared folder its name. The row says already that it belongs to it.
    fn arrive(&self, mut volume: Volume) -> Result<Arc<Volume>> {
        let shared = &*self.shared;
        let Some(from) = volume.comes_from.take() else { return Ok(self.publish(volume)) };
        let (from, to) = (shared.folder(&from), shared.folder(&volume.name));
        fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
        injected("volume.create.after_rename")?;
        shared.put(&volume, None)?;
        Ok(self.publish(volume))
    }

    /// Removes a volume that nobody uses. With `force` one that does not exist is no error.
    pub fn remove(&self, name: &str, force: bool) -> Result<()> {
        let _lock = self.shared.lock(&[name]);
        let volume = {
            let mut world = self.shared.world();
            let Some(volume) = world.volumes.get(name).cloned() else {
                return if force { Ok(()) } else { Err(Error::NotFound(name.to_owned())) };
            };
            unused(&world, name, "remove")?;
            // from here on nobody can acquire it: a container that wants it makes a new one
            world.volumes.remove(name);
            volume
        };
        let removed = remove_files(&self.shared, &volume, force);
        self.shared.sizes.forget(&volume.name);
        if removed.is_err() && self.shared.folder(name).is_dir() {
            self.shared.world().volumes.insert(name.to_owned(), volume);
        }
        removed
    }

    /// Gives a volume that nobody uses another name.
    pub fn rename(&self, old: &str, new: &str) -> Result<Arc<Volume>> {
        if old == new {
            return Err(Error::Invalid(format!("rename {old}: the new name is the old one")));
        }
        options::check_name(new).map_err(|e| match e {
            Error::Invalid(text) => Error::Invalid(text.replacen("create ", "rename to ", 1)),
            other => other,
        })?;
        let _lock = self.shared.lock(&[old, new]);
        let volume = self.get(old)?;
        if volume.backing == Backing::Plugin {
            return Err(Error::Unsupported(format!("rename {old}: volumes of plugins cannot be renamed")));
        }
        {
            let world = self.shared.world();
            if world.volumes.contains_key(new) {
                return Err(Error::Conflict(format!("rename {old}: a volume with the name {new} exists")));
            }
            unused(&world, old, "rename")?;
        }
        let renamed = Volume { name: new.to_owned(), comes_from: Some(old.to_owned()), ..(*volume).clone() };
        self.shared.put(&renamed, Some(old))?;
        self.shared.world().volumes.remove(old);
        self.shared.sizes.forget(&volume.name);
        injected("volume.rename.after_row")?;
        self.arrive(renamed)
    }
}

/// Refuses while somebody uses the volume.
fn unused(world: &crate::World, name: &str, what: &str) -> Result<()> {
    let mounted = world.mounts.get(name).into_iter().flat_map(|m| &m.users);
    let users: BTreeSet<&str> =
        world.users.get(name).into_iter().flatten().chain(mounted).map(String::as_str).collect();
    if users.is_empty() {
        return Ok(());
    }
    let users = users.into_iter().collect::<Vec<_>>().join(", ");
    Err(Error::Conflict(format!("{what} {name}: volume is in use - [{users}]")))
}

fn remove_files(shared: &Shared, volume: &Volume, force: bool) -> Result<()> {
    let name = &volume.name;
    if volume.backing == Backing::Plugin {
        let gone = shared.plugins.find(&volume.driver).and_then(|driver| driver.remove(name));
        return match gone {
            Err(error) if !force => Err(error),
            Err(error) => {
                tracing::warn!(volume = name, %error, "forgetting a volume that its plugin does not remove");
                shared.delete(name)
            }
            Ok(()) => shared.delete(name),
        };
    }
    mount::release(&shared.data(name))?;
    let (folder, gone) = (shared.folder(name), shared.fresh("gone", name));
    match fs::rename(&folder, &gone) {
        Ok(()) => {}
        // somebody has removed it by hand
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("rename", &folder)(e)),
    }
    injected("volume.remove.after_rename")?;
    shared.delete(name)?;
    injected("volume.remove.after_row")?;
    shared.remove_folder(&gone)
}

fn fill_staged(staged: &Path, backing: &Backing, contents: Option<Contents<'_>>) -> Result<()> {
    let data = staged.join("_data");
    let image = matches!(backing, Backing::Image { .. });
    if image {
        mount::image(&staged.join(size::IMAGE), &data)?;
    }
    let filled = (|| {
        if image {
            // comes with every ext4; e2fsck makes it again when it needs it
            let _ = fs::remove_dir(data.join("lost+found"));
        }
        let Some(contents) = contents else { return Ok(()) };
        let _held = wharf_sys::quota::HeldToLimits::begin();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&data, flags, Mode::empty()).map_err(Error::io("open", &data))?;
        contents(std::os::fd::AsFd::as_fd(&fd))?;
        rustix::fs::syncfs(&fd).map_err(Error::io("sync", &data))
    })();
    let released = if image { mount::release(&data) } else { Ok(()) };
    filled.and(released)
}

/// Removes a folder that has not become a volume; what stays goes at the next start.
fn discard(shared: &Shared, staged: &Path) {
    let gone = mount::release(&staged.join("_data")).and_then(|()| shared.remove_folder(staged));
    if let Err(error) = gone {
        tracing::error!(folder = %staged.display(), %error, "remove");
    }
}

/// Docker says what it was about.
fn named(name: &str, error: Error) -> Error {
    match error {
        Error::NoDriver(text) => Error::NoDriver(format!("create {name}: {text}")),
        Error::Plugin(text) => Error::Plugin(format!("create {name}: {text}")),
        other => other,
    }
}
