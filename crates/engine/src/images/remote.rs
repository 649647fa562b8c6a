//! What is only asked of registries: search, login, and what a name means there.

use std::sync::Arc;

use wharf_registry::client::{self, Access, Credentials, Document, Found, Repository};
use wharf_spec::digest::Digest;
use wharf_spec::image::{ImageConfig, Index, Manifest, media_type};
use wharf_spec::platform::Platform;
use wharf_spec::reference::{AnyReference, DEFAULT_DOMAIN, Reference};

use crate::{Engine, Error, Filters, Result};

/// Longest configuration that is read for its platform.
const CONFIG: usize = 8 << 20;

/// What a name means at its registry.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// What kind of document.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: usize,
    /// What it runs on.
    pub platforms: Vec<Platform>,
}

/// A manifest or index of a registry, byte for byte.
#[derive(Debug, Clone)]
pub struct RemoteDocument {
    /// What kind of document.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// As it came.
    pub bytes: bytes::Bytes,
}

/// How to get at a registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryAccess {
    /// For the registry.
    pub credentials: Credentials,
    /// Without TLS, or with any certificate: the user's word for this one request.
    pub insecure: bool,
}

/// What a login gave.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// To be kept instead of the password; may be empty.
    pub identity_token: String,
}

impl Engine {
    /// `GET /distribution/{name}/json`.
    pub async fn distribution_inspect(&self, name: &str, access: &RegistryAccess) -> Result<Distribution> {
        let (reference, document) = self.remote(name, access).await?;
        let platforms = self.platforms(&reference, &document, access).await?;
        let Document { media_type, digest, bytes } = document;
        Ok(Distribution { media_type, digest, size: bytes.len(), platforms })
    }

    /// The manifest or index that a name means at its registry.
    pub async fn distribution_manifest(&self, name: &str, access: &RegistryAccess) -> Result<RemoteDocument> {
        let (_, document) = self.remote(name, access).await?;
        let Document { media_type, digest, bytes } = document;
        Ok(RemoteDocument { media_type, digest, bytes })
    }

    /// Puts a manifest or index under a name at its registry. Answers its digest.
    pub async fn distribution_put(
        &self,
        name: &str,
        media_type: &str,
        bytes: bytes::Bytes,
        access: &RegistryAccess,
    ) -> Result<Digest> {
        let reference = named(name)?;
        if !media_type::is_index(media_type) && !media_type::is_manifest(media_type) {
            return Err(Error::InvalidParameter(format!("unsupported manifest media type {media_type:?}")));
        }
        let digest = Digest::of(&bytes);
        let repository = self.reach(&reference, access, Access::Push).await?;
        let target = reference.tag().map_or_else(|| digest.to_string(), str::to_owned);
        repository.put_manifest(&target, media_type, bytes).await?;
        Ok(digest)
    }

    /// Lets a repository have a blob of another one of the same registry.
    pub async fn distribution_mount(
        &self,
        name: &str,
        from: &str,
        digest: &str,
        access: &RegistryAccess,
    ) -> Result<()> {
        let (to, from) = (named(name)?, named(from)?);
        let digest: Digest = digest.parse().map_err(|e| Error::InvalidParameter(format!("{digest}: {e}")))?;
        let repository = self.reach(&to, access, Access::Push).await?;
        if repository.head_blob(&digest).await?.is_some() {
            return Ok(());
        }
        if to.domain() != from.domain() {
            return Err(Error::InvalidParameter(
                "cannot use source images from a different registry than the target image".into(),
            ));
        }
        match repository.mount(&digest, from.path()).await? {
            client::Mount::Mounted => Ok(()),
            client::Mount::Upload(_) => {
                Err(Error::System(format!("the registry does not mount {digest} from {}", from.familiar_name())))
            }
        }
    }

    async fn reach(&self, name: &Reference, access: &RegistryAccess, what: Access) -> Result<Arc<Repository>> {
        self.inner.registries.reach(name, &access.credentials, what, access.insecure).await
    }

    async fn remote(&self, name: &str, access: &RegistryAccess) -> Result<(Reference, Document)> {
        let reference = named(name)?;
        let wanted = match reference.digest() {
            Some(digest) => digest.to_string(),
            None => reference.tag().unwrap_or_default().to_owned(),
        };
        let repository = self.reach(&reference, access, Access::Pull).await?;
        let document = repository.manifest(&wanted).await?;
        if document.media_type == media_type::DOCKER_MANIFEST_V1 {
            return Err(Error::InvalidParameter("schema version 1 manifests are not supported".into()));
        }
        Ok((reference, document))
    }

    async fn platforms(&self, name: &Reference, document: &Document, access: &RegistryAccess) -> Result<Vec<Platform>> {
        let nonsense = |e: serde_json::Error| Error::System(format!("manifest {}: {e}", document.digest));
        if media_type::is_index(&document.media_type) {
            let index: Index = serde_json::from_slice(&document.bytes).map_err(nonsense)?;
            return Ok(index.manifests.into_iter().filter_map(|one| one.platform).collect());
        }
        let manifest: Manifest = serde_json::from_slice(&document.bytes).map_err(nonsense)?;
        let repository = self.reach(name, access, Access::Pull).await?;
        let config = repository.small_blob(&manifest.config.digest, CONFIG).await?;
        // an artifact has no platform
        let config = serde_json::from_slice::<ImageConfig>(&config).unwrap_or_default();
        Ok(vec![config.platform()])
    }

    /// `POST /auth`.
    pub async fn registry_login(&self, server: &str, credentials: Credentials) -> Result<Login> {
        let domain = server_domain(server);
        let registries = &self.inner.registries;
        let domain = registries.registry(&domain).to_owned();
        let login = client::login(registries.settings(), &domain, credentials).await;
        let login = login.map_err(|error| match error {
            client::Error::Unauthorized(_) => Error::Unauthorized(format!("Get \"https://{domain}/v2/\": {error}")),
            other => other.into(),
        })?;
        Ok(Login { identity_token: login.identity_token })
    }

    /// `GET /images/search`.
    pub async fn image_search(
        &self,
        term: &str,
        limit: Option<i64>,
        filters: &Filters,
        credentials: &Credentials,
    ) -> Result<Vec<Found>> {
        filters.only(&["is-automated", "is-official", "stars"])?;
        let automated = filters.boolean("is-automated")?;
        let official = filters.boolean("is-official")?;
        let stars = filters.get("stars").iter().map(|text| text.parse::<i64>());
        let stars = stars.collect::<Result<Vec<_>, _>>();
        let stars = stars.map_err(|_| Error::InvalidParameter("invalid filter 'stars'".into()))?;
        let limit = limit.unwrap_or(25);
        if !(1..=100).contains(&limit) {
            return Err(Error::InvalidParameter(format!("limit {limit} is outside the range of [1, 100]")));
        }
        if term.contains("://") {
            return Err(Error::InvalidParameter(
                "invalid repository name: repository name (with scheme) must not contain '://'".into(),
            ));
        }
        let registries = &self.inner.registries;
        let default = registries.registry(DEFAULT_DOMAIN);
        let term =
            if default != DEFAULT_DOMAIN && !has_domain(term) { format!("{default}/{term}") } else { term.to_owned() };
        let limit = u32::try_from(limit).unwrap_or(25);
        let found = client::search(registries.settings(), &term, limit, credentials).await?;
        let keep = |one: &Found| {
            automated.is_none_or(|wanted| wanted == one.is_automated)
                && official.is_none_or(|wanted| wanted == one.is_official)
                && stars.iter().all(|least| one.star_count >= *least)
        };
        Ok(found.into_iter().filter(keep).collect())
    }
}

fn has_domain(term: &str) -> bool {
    term.split_once('/').is_some_and(|(domain, _)| domain.contains(['.', ':']) || domain == "localhost")
}

fn named(name: &str) -> Result<Reference> {
    match AnyReference::parse(name) {
        Ok(AnyReference::Named(reference)) => Ok(reference.with_default_tag()),
        Ok(AnyReference::Id(_)) => Err(Error::InvalidParameter(format!("unknown image reference format: {name}"))),
        Err(error) => Err(Error::InvalidParameter(error.to_string())),
    }
}

/// The domain in what a client calls a server: `https://index.docker.io/v1/`, `r.example:5000`.
fn server_domain(server: &str) -> String {
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = bare.split('/').next().unwrap_or_default();
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" => DEFAULT_DOMAIN.to_owned(),
        host => host.to_owned(),
    }
}
