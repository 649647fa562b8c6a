//! `ps`, `images`, `network ls`, `volume ls`.

use serde_json::Value;

use super::Call;
use crate::engine::Query;
use crate::exit::{Exit, Outcome};
use crate::format::{Format, container, image, object, tree};
use crate::{context, json, output};

/// A table's default format, or the one-column form for `-q`.
fn table(call: &Call<'_>, format: &str, plain: &str, id: &str) -> String {
    match format {
        "table" if call.flags.on("quiet") => id.to_owned(),
        "table" => plain.to_owned(),
        other if call.flags.on("quiet") && other == "raw" => {
            format!("{}: {id}", id.trim_matches(|c| "{}.".contains(c)).to_lowercase())
        }
        other => other.to_owned(),
    }
}

/// `ps`
pub(crate) fn containers(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let format = call.format("psFormat");
    let quiet = flags.on("quiet");
    let last =
        if flags.on("latest") && flags.int("last").unwrap_or(-1) == -1 { 1 } else { flags.int("last").unwrap_or(-1) };
    // a row as JSON asks for everything that it has
    let wants_size = !quiet && [".Size", "json .}", "json . "].iter().any(|part| format.contains(part));
    let size = flags.on("size") || wants_size && !flags.given("size");
    let query = Query::new()
        .when(flags.on("all"), "all", "1")
        .when(last > 0, "limit", last.to_string())
        .when(size, "size", "1");
    if !quiet {
        Format::probe(&format, &container::container(&Value::Null, true))?;
    }
    let answer = call.client()?.get("/containers/json", &call.filters(query))?;
    let mut source = match format.as_str() {
        "raw" if quiet => "container_id: {{.ID}}".to_owned(),
        "raw" => RAW.to_owned(),
        format => table(call, format, container::TABLE, "{{.ID}}"),
    };
    if format == "table" && !quiet && flags.on("size") {
        source.push_str("\\t{{.Size}}");
    }
    let truncate = !flags.on("no-trunc");
    let rows: Vec<_> = json::items(&answer).iter().map(|one| container::container(one, truncate)).collect();
    output::out(&Format::parse(&source)?.render(container::HEADINGS, &rows)?);
    Ok(())
}

const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

/// `images`
pub(crate) fn images(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let format = call.format("imagesFormat");
    let mut filters: Vec<String> = flags.all("filter").into_iter().map(str::to_owned).collect();
    if let Some(reference) = call.args.first() {
        filters.push(format!("reference={reference}"));
    }
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let mut query = Query::new().when(flags.on("all"), "all", "1");
    if let Some(filters) = crate::options::filters(&filters) {
        query = query.with("filters", filters);
    }
    if flags.on("tree") {
        let refused = [("quiet", "quiet"), ("no-trunc", "no-trunc"), ("digests", "show-digest"), ("format", "format")];
        if let Some((_, name)) = refused.iter().find(|(flag, _)| flags.given(flag)) {
            return Err(Exit::error(format!("--{name} is not yet supported with --tree")));
        }
        let answer = call.client()?.get("/images/json", &query.with("manifests", "1"))?;
        let mut documents: Vec<&Value> = json::items(&answer).iter().collect();
        documents.sort_by_key(|one| std::cmp::Reverse(json::int(one, "Created")));
        let terminal = output::is_terminal();
        let width = if terminal { usize::from(crate::terminal::size().1) } else { 80 };
        output::out(&tree::tree(&documents, width, terminal));
        return Ok(());
    }
    let answer = call.client()?.get("/images/json", &query)?;
    let (quiet, digests) = (flags.on("quiet"), flags.on("digests"));
    let source = match format.as_str() {
        "table" if quiet => "{{.ID}}".to_owned(),
        "table" if digests => image::TABLE_DIGEST.to_owned(),
        "table" => image::TABLE.to_owned(),
        other => other.to_owned(),
    };
    let truncate = !flags.on("no-trunc");
    let wanted = match digests {
        true => image::Digests::Rows,
        false if source.contains(".Digest") => image::Digests::Mentioned,
        false => image::Digests::Hidden,
    };
    let mut documents: Vec<&Value> = json::items(&answer).iter().collect();
    documents.sort_by_key(|one| std::cmp::Reverse(json::int(one, "Created")));
    let rows: Vec<_> = documents.into_iter().flat_map(|one| image::image(one, truncate, wanted)).collect();
    output::out(&Format::parse(&source)?.render(image::HEADINGS, &rows)?);
    Ok(())
}

/// `network ls`
pub(crate) fn networks(call: &Call<'_>) -> Outcome {
    let answer = call.client()?.get("/networks", &call.filters(Query::new()))?;
    let format = call.format("networksFormat");
    let source = table(call, &format, object::NETWORK_TABLE, "{{.ID}}");
    let truncate = !call.flags.on("no-trunc");
    let mut networks: Vec<&Value> = json::items(&answer).iter().collect();
    networks.sort_by(|a, b| context::natural(json::text(a, "Name"), json::text(b, "Name")));
    let rows: Vec<_> = networks.into_iter().map(|one| object::network(one, truncate)).collect();
    output::out(&Format::parse(&source)?.render(object::NETWORK_HEADINGS, &rows)?);
    Ok(())
}

/// `plugin ls`
pub(crate) fn plugins(call: &Call<'_>) -> Outcome {
    let answer = call.client()?.get("/plugins", &call.filters(Query::new()))?;
    let format = call.format("pluginsFormat");
    let source = table(call, &format, object::PLUGIN_TABLE, "{{.ID}}");
    let truncate = !call.flags.on("no-trunc");
    let mut plugins: Vec<&Value> = json::items(&answer).iter().collect();
    plugins.sort_by(|a, b| context::natural(json::text(a, "Name"), json::text(b, "Name")));
    let rows: Vec<_> = plugins.into_iter().map(|one| object::plugin(one, truncate)).collect();
    output::out(&Format::parse(&source)?.render(object::PLUGIN_HEADINGS, &rows)?);
    Ok(())
}

/// `volume ls`
pub(crate) fn volumes(call: &Call<'_>) -> Outcome {
    let answer = call.client()?.get("/volumes", &call.filters(Query::new()))?;
    let format = call.format("volumesFormat");
    let source = table(call, &format, object::VOLUME_TABLE, "{{.Name}}");
    let mut volumes: Vec<&Value> = json::list(&answer, "Volumes").iter().collect();
    volumes.sort_by(|a, b| context::natural(json::text(a, "Name"), json::text(b, "Name")));
    let rows: Vec<_> = volumes.into_iter().map(object::volume).collect();
    output::out(&Format::parse(&source)?.render(object::VOLUME_HEADINGS, &rows)?);
    Ok(())
}
