//! `manifest`: looking at manifests of registries, and making lists of them.
//!
//! ```text
//!   ~/.docker/manifests/<list>/<manifest>   one file per entry: Ref, Descriptor (with platform), Raw (base64)
//! ```

use std::fs;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wharf_spec::digest::Digest;
use wharf_spec::image::media_type;
use wharf_spec::reference::Reference;

use super::Call;
use super::registry::{full, header};
use crate::config::replace;
use crate::engine::{Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::{json, output};

/// The kinds that can be put, in a form that lives as long as the program.
const KINDS: [&str; 4] =
    [media_type::DOCKER_INDEX, media_type::OCI_INDEX, media_type::DOCKER_MANIFEST, media_type::OCI_MANIFEST];

/// A manifest of a registry.
struct Remote {
    name: Reference,
    media_type: String,
    bytes: Vec<u8>,
    document: Value,
}

fn named(text: &str) -> Result<Reference, Exit> {
    let reference = Reference::parse(text).map_err(|error| Exit::error(error.to_string()))?;
    Ok(reference.with_default_tag())
}

/// Query and path of one of the engine's routes for a name at its registry.
fn route(call: &Call<'_>, name: &Reference, verb: &str) -> (String, Query) {
    let path = format!("/distribution/{}/{verb}", escape_path(&full(name)));
    (path, Query::new().when(call.flags.on("insecure"), "insecure", "1"))
}

fn fetch(call: &Call<'_>, name: &Reference) -> Result<Remote, Exit> {
    let auth = header(call.session.config(), name.domain());
    let (path, query) = route(call, name, "manifest");
    let (head, body) = call.client()?.open_with(&path, &query, &[("X-Registry-Auth", &auth)])?;
    let media_type = head.get("content-type").unwrap_or_default().to_owned();
    let (bytes, _) = body.collect()?;
    let document = serde_json::from_slice(&bytes).map_err(|error| Exit::error(error.to_string()))?;
    Ok(Remote { name: name.clone(), media_type, bytes, document })
}

/// The platforms that a name runs on.
fn platforms(call: &Call<'_>, name: &Reference) -> Result<Vec<Value>, Exit> {
    let auth = header(call.session.config(), name.domain());
    let (path, query) = route(call, name, "json");
    let (_, body) = call.client()?.open_with(&path, &query, &[("X-Registry-Auth", &auth)])?;
    let (bytes, _) = body.collect()?;
    let answer: Value = serde_json::from_slice(&bytes).map_err(|error| Exit::error(error.to_string()))?;
    Ok(json::list(&answer, "Platforms").to_vec())
}

impl Remote {
    fn is_list(&self) -> bool {
        media_type::is_index(&self.media_type)
    }

    /// With its platform, as a list has it and `--verbose` shows it.
    fn entry(&self, platform: Option<&Value>) -> Value {
        let digest = Digest::of(&self.bytes).to_string();
        let mut descriptor = json!({"mediaType": self.media_type, "digest": digest, "size": self.bytes.len()});
        if let Some(platform) = platform {
            descriptor["platform"] = platform.clone();
        }
        let field = if self.media_type == media_type::OCI_MANIFEST { "OCIManifest" } else { "SchemaV2Manifest" };
        let mut entry = Map::new();
        entry.insert("Ref".into(), full(&self.name).into());
        entry.insert("Descriptor".into(), descriptor);
        entry.insert("Raw".into(), STANDARD.encode(&self.bytes).into());
        entry.insert(field.into(), self.document.clone());
        Value::Object(entry)
    }
}

/// The folder of a local list.
fn folder(call: &Call<'_>, list: &Reference) -> PathBuf {
    call.session.config_folder().join("manifests").join(file_name(list))
}

/// A name as a file name: no separator survives.
fn file_name(name: &Reference) -> String {
    full(name).replace(':', "-").replace('/', "_")
}

/// The entries of a local list, in the order of their names; `None` when there is no such list.
fn entries(call: &Call<'_>, list: &Reference) -> Result<Option<Vec<Value>>, Exit> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder(call, list)) {
        Ok(found) => found.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    files.sort();
    let read = |path: PathBuf| -> Result<Value, Exit> {
        serde_json::from_slice(&fs::read(&path)?).map_err(|error| Exit::error(format!("{}: {error}", path.display())))
    };
    files.into_iter().map(read).collect::<Result<Vec<_>, _>>().map(Some)
}

fn save(call: &Call<'_>, list: &Reference, entry: &Value) -> Outcome {
    let folder = folder(call, list);
    fs::create_dir_all(&folder)?;
    let name = named(json::text(entry, "Ref"))?;
    Ok(replace(&folder.join(file_name(&name)), entry.to_string().as_bytes(), 0o600)?)
}

/// `manifest create`
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let list = named(&call.args[0])?;
    let there = entries(call, &list)?.is_some();
    if there && !call.flags.on("amend") {
        return Err(Exit::error("refusing to amend an existing manifest list with no --amend flag"));
    }
    // all of them first: a list is made whole or not at all
    let mut found = Vec::new();
    for text in &call.args[1..] {
        let name = named(text)?;
        let remote = fetch(call, &name)?;
        if remote.is_list() {
            return Err(Exit::error(format!("{} is a manifest list", full(&name))));
        }
        let platform = platforms(call, &name)?;
        found.push(remote.entry(platform.first()));
    }
    for entry in &found {
        save(call, &list, entry)?;
    }
    output::line(&format!("Created manifest list {}", full(&list)));
    Ok(())
}

/// The one entry of a local list that a name means.
fn local(call: &Call<'_>, list: &Reference, name: &Reference) -> Result<Value, Exit> {
    let wanted = full(name);
    let found = entries(call, list)?.into_iter().flatten().find(|entry| json::text(entry, "Ref") == wanted);
    found.ok_or_else(|| Exit::error(format!("manifest for image {wanted} does not exist in {}", full(list))))
}

/// `manifest annotate`
pub(crate) fn annotate(call: &Call<'_>) -> Outcome {
    let (list, name) = (named(&call.args[0])?, named(&call.args[1])?);
    let mut entry = local(call, &list, &name)?;
    let mut platform = entry["Descriptor"]["platform"].as_object().cloned().unwrap_or_default();
    for (flag, key) in [("os", "os"), ("arch", "architecture"), ("variant", "variant"), ("os-version", "os.version")] {
        if let Some(value) = call.flags.filled(flag) {
            platform.insert(key.into(), value.into());
        }
    }
    let features = call.flags.all("os-features");
    if !features.is_empty() {
        platform.insert("os.features".into(), json!(features));
    }
    let text = |key: &str| platform.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text("os").is_empty() || text("architecture").is_empty() {
        return Err(Exit::error(format!(
            "manifest entry for image has unsupported os/arch combination: {}/{}",
            text("os"),
            text("architecture")
        )));
    }
    entry["Descriptor"]["platform"] = Value::Object(platform);
    save(call, &list, &entry)
}

/// A list as it is pushed.
fn list_document(entries: &[Value]) -> Value {
    let docker =
        entries.iter().all(|entry| json::text(&entry["Descriptor"], "mediaType") == media_type::DOCKER_MANIFEST);
    let kind = if docker { media_type::DOCKER_INDEX } else { media_type::OCI_INDEX };
    let manifests: Vec<&Value> = entries.iter().map(|entry| &entry["Descriptor"]).collect();
    json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests})
}

/// `manifest inspect`
pub(crate) fn inspect(call: &Call<'_>) -> Outcome {
    let verbose = call.flags.on("verbose");
    let show = |value: &Value| output::line(&json::pretty(value, "\t"));
    if let [list, name] = call.args.as_slice() {
        let (list, name) = (named(list)?, named(name)?);
        let entry = local(call, &list, &name)?;
        let document = entry.get("SchemaV2Manifest").or_else(|| entry.get("OCIManifest"));
        show(if verbose { &entry } else { document.unwrap_or(&entry) });
        return Ok(());
    }
    let name = named(&call.args[0])?;
    if let Some(entries) = entries(call, &name)? {
        show(&if verbose { Value::Array(entries) } else { list_document(&entries) });
        return Ok(());
    }
    let remote = fetch(call, &name).map_err(|exit| match exit.message.contains("manifest unknown") {
        true => Exit::error(format!("no such manifest: {}", full(&name))),
        false => exit,
    })?;
    if !verbose {
        show(&remote.document);
        return Ok(());
    }
    if !remote.is_list() {
        show(&remote.entry(platforms(call, &name)?.first()));
        return Ok(());
    }
    let mut all = Vec::new();
    for descriptor in json::list(&remote.document, "manifests") {
        let digest: Digest =
            json::text(descriptor, "digest").parse().map_err(|_| Exit::error("a list with a bad digest"))?;
        let inner = fetch(call, &name.with_digest(digest))?;
        all.push(inner.entry(descriptor.get("platform")));
    }
    show(&Value::Array(all));
    Ok(())
}

/// `manifest push`
pub(crate) fn push(call: &Call<'_>) -> Outcome {
    let list = named(&call.args[0])?;
    let entries = entries(call, &list)?;
    let entries = entries.filter(|entries| !entries.is_empty());
    let entries = entries.ok_or_else(|| Exit::error(format!("{} not found", full(&list))))?;
    let auth = header(call.session.config(), list.domain());
    let headers = [("X-Registry-Auth", auth.as_str())];
    for entry in &entries {
        let name = named(json::text(entry, "Ref"))?;
        if name.domain() != list.domain() {
            return Err(Exit::error("cannot use source images from a different registry than the target image"));
        }
        if name.path() != list.path() {
            bring(call, &list, &name, entry, &headers)?;
        }
    }
    let document = list_document(&entries);
    let kind = kind_of(json::text(&document, "mediaType"))?;
    let (path, query) = route(call, &list, "manifest");
    let bytes = json::pretty(&document, "   ").into_bytes();
    let answer = call.client()?.put_bytes(&path, &query, &headers, kind, &bytes)?;
    output::line(json::text(&answer, "Digest"));
    if call.flags.on("purge") {
        fs::remove_dir_all(folder(call, &list))?;
    }
    Ok(())
}

/// Lets the list's repository have a manifest of another one, with all that it points to.
fn bring(call: &Call<'_>, list: &Reference, name: &Reference, entry: &Value, headers: &[(&str, &str)]) -> Outcome {
    let empty = json!({});
    let document = entry.get("SchemaV2Manifest").or_else(|| entry.get("OCIManifest")).unwrap_or(&empty);
    let target = list.without_tag_and_digest();
    let blobs = json::list(document, "layers").iter().chain(document.get("config"));
    for blob in blobs {
        let (path, query) = route(call, &target, "mount");
        let query = query.with("from", full(name)).with("digest", json::text(blob, "digest"));
        call.client()?.post_stream(&path, &query, headers, None)?.1.collect()?;
    }
    let bytes = STANDARD.decode(json::text(entry, "Raw")).map_err(|error| Exit::error(error.to_string()))?;
    let (path, query) = route(call, &target.with_digest(Digest::of(&bytes)), "manifest");
    let kind = kind_of(json::text(&entry["Descriptor"], "mediaType"))?;
    call.client()?.put_bytes(&path, &query, headers, kind, &bytes)?;
    output::line(&format!("Pushed ref {}@{}", list.name(), Digest::of(&bytes)));
    Ok(())
}

fn kind_of(text: &str) -> Result<&'static str, Exit> {
    KINDS
        .into_iter()
        .find(|kind| *kind == text)
        .ok_or_else(|| Exit::error(format!("unsupported manifest media type {text}")))
}

/// `manifest rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    call.for_each(|text| {
        let list = named(text)?;
        match fs::remove_dir_all(folder(call, &list)) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Exit::error(format!("No such manifest: {}", full(&list))))
            }
            Err(error) => Err(error.into()),
        }
    })
}
