//! The image that is built into this program: `hello-world`, one static executable on nothing.

use std::sync::Arc;

use serde_json::json;
use wharf_archive::{Kind, Member, Time, Writer};
use wharf_spec::{platform::Platform, reference::Reference};

use crate::{Error, Image, Job, Result, intake, make::docker_config, store::Store};

/// The program, compiled by the build script.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello"));
const NAME: &str = "hello-world";
/// The same on every machine: the image is part of the program, not made by the user.
const CREATED: &str = "2026-11-20T00:00:00Z";
const CREATED_SECONDS: i64 = 1_795_132_800;

impl Store {
    /// Whether `reference` names the built-in image.
    pub fn is_embedded(reference: &Reference) -> bool {
        Reference::parse(NAME).is_ok_and(|name| name.with_default_tag() == reference.clone().with_default_tag())
    }

    /// The image that is built into this program, installed under its name when it is not there yet.
    pub fn install_hello_world(&self) -> Result<Arc<Image>> {
        let name = Reference::parse(NAME)?.with_default_tag();
        if let Some(image) = self.catalog().by_reference(&name) {
            return Ok(image.clone());
        }
        let tar = layer()?;
        let layer = intake::take(self.layout(), &mut tar.as_slice(), &Job::default(), |_| {})?.layer?;
        let platform = Platform::host();
        let run = wharf_spec::image::RunConfig {
            cmd: Some(vec!["/hello".into()]),
            env: Some(vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()]),
            ..Default::default()
        };
        let config = json!({
            "architecture": platform.architecture,
            "config": docker_config(&run),
            "created": CREATED,
            "history": [
                {"created": CREATED, "created_by": "COPY hello /", "comment": "built into wharfd"},
                {"created": CREATED, "created_by": "CMD [\"/hello\"]", "empty_layer": true},
            ],
            "os": platform.os,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff]},
        });
        let id = self.add_made(crate::rows::encode(&config), Some(layer), None, Some(&name))?;
        self.catalog().get(&id).cloned().ok_or_else(|| Error::NoSuchImage(NAME.into()))
    }
}

fn layer() -> Result<Vec<u8>> {
    let mut member = Member::new("hello", Kind::File, 0o755);
    member.size = PROGRAM.len() as u64;
    member.mtime = Time { seconds: CREATED_SECONDS, nanos: 0 };
    let mut tar = Writer::new(Vec::with_capacity(PROGRAM.len() + 4096));
    tar.append(&member, &mut &*PROGRAM)?;
    Ok(tar.finish()?.0)
}
