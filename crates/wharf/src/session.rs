//! One call of the program: its name, the global flags, the configuration, the engine.

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::config::{self, Config};
use crate::context::{self, Store};
use crate::engine::{self, Address, Client, Settings, TlsFiles};
use crate::exit::Exit;
use crate::flags::Flags;
use wharf_tls::Trust;

/// Everything that commands share.
pub(crate) struct Session {
    /// `wharf`, or `docker` when called so.
    pub(crate) program: String,
    pub(crate) globals: Flags,
    config: OnceCell<Config>,
    client: OnceCell<Client>,
}

impl Session {
    /// A session; nothing is read or connected yet.
    pub(crate) fn new(program: String, globals: Flags) -> Self {
        Self { program, globals, config: OnceCell::new(), client: OnceCell::new() }
    }

    /// The configuration's folder.
    pub(crate) fn config_folder(&self) -> PathBuf {
        config::folder(self.globals.text("config"))
    }

    /// The configuration, read on first use.
    pub(crate) fn config(&self) -> &Config {
        self.config.get_or_init(|| {
            let config = Config::load(self.config_folder());
            if let Some(warning) = &config.warning {
                crate::output::err(&format!("WARNING: Error loading config file: {warning}\n"));
            }
            config
        })
    }

    /// The contexts.
    pub(crate) fn contexts(&self) -> Store {
        Store::new(self.config_folder().join("contexts"))
    }

    /// The name of the context in use.
    pub(crate) fn context_name(&self) -> Result<String, Exit> {
        if self.globals.given("host") && self.globals.filled("context").is_some() {
            return Err(Exit::error("conflicting options: cannot specify both --host and --context"));
        }
        if let Some(name) = self.globals.filled("context") {
            return Ok(name.to_owned());
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if self.globals.given("host") || variable("DOCKER_HOST").is_some() {
            return Ok(context::DEFAULT.into());
        }
        if let Some(name) = variable("DOCKER_CONTEXT") {
            return Ok(name);
        }
        Ok(self.config().text("currentContext").unwrap_or(context::DEFAULT).to_owned())
    }

    /// The engine's address as text when somebody named one: flag, environment or context.
    pub(crate) fn named_host(&self) -> Result<Option<String>, Exit> {
        let name = self.context_name()?;
        if name != context::DEFAULT {
            let context = self.contexts().load(&name).map_err(|why| {
                Exit::error(format!("Failed to initialize: unable to resolve docker endpoint: {why}"))
            })?;
            return Ok(Some(context.host().to_owned()).filter(|host| !host.is_empty()));
        }
        let tls = self.wants_tls();
        let hosts = self.globals.all("host");
        if hosts.len() > 1 {
            return Err(Exit::error("Specify only one -H"));
        }
        let given = match hosts.first() {
            Some(host) => Some((*host).to_owned()),
            None => std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()),
        };
        let Some(given) = given else { return Ok(None) };
        engine::parse_host(&given, tls)
            .map(Some)
            .map_err(|why| Exit::error(format!("Failed to initialize: unable to resolve docker endpoint: {why}")))
    }

    /// The engine, found (and started, if need be) on first use.
    pub(crate) fn client(&self) -> Result<&Client, Exit> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.connect(true)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The engine, but never one that must be started first.
    pub(crate) fn client_if_there(&self) -> Result<&Client, Exit> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.connect(false)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn connect(&self, may_start: bool) -> Result<Client, Exit> {
        let (address, ours) = match self.named_host()? {
            Some(host) => {
                let address = Address::parse(&host)?;
                let ours = host.strip_prefix("unix://") == Some(engine::DEFAULT_SOCKETS[0]);
                (address, ours)
            }
            None => engine::default_address(may_start)?,
        };
        let tls = match &address {
            Address::Tcp { .. } => self.tls()?.map(|files| files.load()).transpose()?,
            _ => None,
        };
        let version = std::env::var("DOCKER_API_VERSION").ok();
        Ok(Client::new(Settings { address, tls, ours, version, headers: self.config().headers() }))
    }

    /// Whether TLS is asked for: by `--tls`, `--tlsverify` or the environment.
    fn wants_tls(&self) -> bool {
        self.globals.on("tls") || self.globals.on("tlsverify") || set("DOCKER_TLS_VERIFY") || set("DOCKER_TLS")
    }

    /// The files for TLS to the engine, when TLS is to be spoken. A context brings its own.
    fn tls(&self) -> Result<Option<TlsFiles>, Exit> {
        let name = self.context_name()?;
        if name != context::DEFAULT {
            let store = self.contexts();
            let context = store.load(&name).map_err(Exit::error)?;
            let folder = store.tls(&name).join("docker");
            let files = TlsFiles::lying_in(&folder, !context.skip_verify());
            let any = context.skip_verify() || files.identity.is_some() || matches!(files.trust, Trust::File(_));
            return Ok(any.then_some(files));
        }
        if !self.wants_tls() {
            return Ok(None);
        }
        let verify = self.globals.on("tlsverify") || set("DOCKER_TLS_VERIFY");
        let folder = std::env::var_os("DOCKER_CERT_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| self.config_folder());
        let named = |flag: &str| self.globals.filled(flag).map(PathBuf::from);
        let mut files = TlsFiles::lying_in(&folder, verify);
        if verify {
            files.trust = Trust::File(named("tlscacert").unwrap_or_else(|| folder.join("ca.pem")));
        }
        let (certificate, key) = (named("tlscert"), named("tlskey"));
        if certificate.is_some() || key.is_some() {
            let certificate = certificate.unwrap_or_else(|| folder.join("cert.pem"));
            files.identity = Some((certificate, key.unwrap_or_else(|| folder.join("key.pem"))));
        }
        Ok(Some(files))
    }
}

/// Whether the environment says something.
fn set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty())
}
