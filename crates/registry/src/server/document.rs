//! Manifests and indexes: what they refer to, read from foreign bytes.

use crate::server::refusal::{Code, Outcome, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wharf_spec::digest::Digest;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    DockerManifest,
    DockerList,
    OciManifest,
    OciIndex,
}

impl Kind {
    /// Reads a media type; parameters do not matter.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split(';').next()?.trim() {
            "application/vnd.docker.distribution.manifest.v2+json" => Some(Self::DockerManifest),
            "application/vnd.docker.distribution.manifest.list.v2+json" => Some(Self::DockerList),
            "application/vnd.oci.image.manifest.v1+json" => Some(Self::OciManifest),
            "application/vnd.oci.image.index.v1+json" => Some(Self::OciIndex),
            _ => None,
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        }
    }

    /// Whether it names manifests rather than blobs.
    pub(crate) fn is_index(self) -> bool {
        matches!(self, Self::DockerList | Self::OciIndex)
    }
}

/// One reference to something.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Descriptor {
    #[serde(rename = "mediaType", default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
}

/// As much of a platform as choosing one needs.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
}

impl Descriptor {
    /// Content that lies elsewhere by design (layers that may not be distributed): the registry need not have it.
    pub(crate) fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains(".nondistributable.")
            || self.media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// A document that can be stored.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) kind: Kind,
    /// Configuration and layers of a manifest.
    pub(crate) blobs: Vec<Descriptor>,
    /// Manifests of an index.
    pub(crate) manifests: Vec<Descriptor>,
    /// What it refers to.
    pub(crate) subject: Option<Digest>,
    /// What a referrer is, as its list shows it.
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a document. `claimed` is the `Content-Type` it came with; without one it must say itself what it is.
    pub(crate) fn parse(bytes: &[u8], claimed: Option<&str>) -> Outcome<Self> {
        let invalid = |why: String| Refusal::new(Code::ManifestInvalid, json!(why));
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| invalid(e.to_string()))?;
        let claimed = claimed.filter(|text| !text.starts_with("application/json"));
        let kind = match (claimed, raw.media_type.as_deref()) {
            (Some(outer), Some(inner)) if outer.split(';').next().map(str::trim) != Some(inner) => {
                return Err(invalid(format!("the document is {inner:?}, its Content-Type {outer:?}")));
            }
            (Some(text), _) | (None, Some(text)) => {
                Kind::parse(text).ok_or_else(|| invalid(format!("unsupported media type {text:?}")))?
            }
            // OCI documents need not say what they are
            (None, None) if raw.manifests.is_some() => Kind::OciIndex,
            (None, None) => Kind::OciManifest,
        };
        if raw.schema_version != 2 {
            return Err(invalid(format!("unsupported schema version {}", raw.schema_version)));
        }
        // a document that can be read as either would mean different things to different clients (CVE-2021-41190)
        let mixed =
            if kind.is_index() { raw.layers.is_some() || raw.config.is_some() } else { raw.manifests.is_some() };
        if mixed {
            return Err(invalid("the document is both a manifest and an index".into()));
        }
        let (mut blobs, mut manifests, mut config_type) = (Vec::new(), Vec::new(), None);
        if kind.is_index() {
            manifests = raw.manifests.ok_or_else(|| invalid("no manifests".into()))?;
        } else {
            let config = raw.config.ok_or_else(|| invalid("no config".into()))?;
            config_type = Some(config.media_type.clone());
            blobs.push(config);
            blobs.extend(raw.layers.ok_or_else(|| invalid("no layers".into()))?);
        }
        let artifact_type = raw.artifact_type.filter(|text| !text.is_empty()).or(config_type);
        Ok(Self {
            kind,
            blobs,
            manifests,
            subject: raw.subject.map(|subject| subject.digest),
            artifact_type,
            annotations: raw.annotations,
        })
    }

    /// The entry of a list of referrers ("Listing Referrers").
    pub(crate) fn descriptor(&self, digest: &Digest, size: usize) -> Value {
        let mut entry = json!({"mediaType": self.kind.media_type(), "digest": digest, "size": size});
        if let Some(kind) = &self.artifact_type {
            entry["artifactType"] = json!(kind);
        }
        if let Some(annotations) = &self.annotations {
            entry["annotations"] = json!(annotations);
        }
        entry
    }
}

/// The media type under which stored bytes are served: what they say, else what they look like. Old documents too.
pub(crate) fn stored_media_type(bytes: &[u8]) -> String {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match value["mediaType"].as_str() {
        Some(text) => text.to_owned(),
        None if value["schemaVersion"] == 1 && value.get("signatures").is_some() => {
            "application/vnd.docker.distribution.manifest.v1+prettyjws".into()
        }
        None if value["schemaVersion"] == 1 => "application/vnd.docker.distribution.manifest.v1+json".into(),
        None if value.get("manifests").is_some() => Kind::OciIndex.media_type().into(),
        None => Kind::OciManifest.media_type().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(document: &str, claimed: Option<&str>) -> String {
        let refusal = Document::parse(document.as_bytes(), claimed).expect_err(document);
        assert_eq!(refusal.code, Code::ManifestInvalid);
        refusal.body()["errors"][0]["detail"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn documents_that_mean_two_things_are_refused() {
        let digest = Digest::of(b"");
        let config = format!(r#""config":{{"mediaType":"x","digest":"{digest}","size":0}}"#);
        let oci = "application/vnd.oci.image.manifest.v1+json";
        let good = format!(r#"{{"schemaVersion":2,{config},"layers":[]}}"#);
        let document = Document::parse(good.as_bytes(), Some(oci)).expect("a manifest");
        assert_eq!((document.kind, document.artifact_type.as_deref()), (Kind::OciManifest, Some("x")));
        assert!(Document::parse(good.as_bytes(), None).is_ok());

        let both = format!(r#"{{"schemaVersion":2,{config},"layers":[],"manifests":[]}}"#);
        assert_eq!(refused(&both, Some(oci)), "the document is both a manifest and an index");
        let other = format!(r#"{{"schemaVersion":2,"mediaType":"{oci}",{config},"layers":[]}}"#);
        assert!(refused(&other, Some(Kind::OciIndex.media_type())).contains("its Content-Type"));
        assert!(refused(&good.replace(":2,", ":1,"), Some(oci)).contains("schema version 1"));
        assert!(refused("{}", Some(oci)).contains("missing field"));
        assert!(refused("", None).contains("EOF"));
        assert!(refused(r#"{"schemaVersion":2}"#, Some("text/html")).contains("unsupported media type"));
        assert!(refused(&good.replace("\"size\":0", "\"size\":-1"), Some(oci)).contains("invalid value"));
    }
}
