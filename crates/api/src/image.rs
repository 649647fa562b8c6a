//! Images, and the messages of progress streams.

use std::collections::BTreeMap;

use crate::container::Config;
use crate::go::Any;
use crate::inspect::GraphDriver;

object! {
    /// One row of `GET /images/json`.
    pub struct Summary = "image.Summary" {
        /// Containers made of it; -1 is not counted.
        containers: i64 = "Containers",
        /// Seconds since 1970.
        created: i64 = "Created",
        /// With algorithm.
        id: String = "Id",
        /// Labels.
        labels: Option<BTreeMap<String, String>> = "Labels",
        /// With algorithm; empty when there is none.
        parent_id: String = "ParentId",
        /// `repo@digest`.
        repo_digests: Option<Vec<String>> = "RepoDigests",
        /// `repo:tag`.
        repo_tags: Option<Vec<String>> = "RepoTags",
        /// Bytes in layers that others use, too; -1 is not computed.
        shared_size: i64 = "SharedSize",
        /// Bytes of all layers.
        size: i64 = "Size",
        /// The same; until v1.43.
        virtual_size: i64 = "VirtualSize" omit,
    }

    /// `GET /images/{name}/json`.
    pub struct Inspect = "image.InspectResponse" {
        /// With algorithm.
        id: String = "Id",
        /// `repo:tag`.
        repo_tags: Vec<String> = "RepoTags",
        /// `repo@digest`.
        repo_digests: Vec<String> = "RepoDigests",
        /// With algorithm; empty when there is none.
        parent: String = "Parent",
        /// Of the last step.
        comment: String = "Comment",
        /// RFC 3339.
        created: String = "Created" omit,
        /// Until v1.44: the container of the last step.
        container: String = "Container" omit,
        /// Until v1.44.
        container_config: Option<Config> = "ContainerConfig" omit,
        /// Engine that made it.
        docker_version: String = "DockerVersion",
        /// Author.
        author: String = "Author",
        /// `amd64` …
        architecture: String = "Architecture",
        /// `v7` …
        variant: String = "Variant" omit,
        /// `linux`.
        os: String = "Os",
        /// Windows only.
        os_version: String = "OsVersion" omit,
        /// Bytes of all layers.
        size: i64 = "Size",
        /// The same; until v1.43.
        virtual_size: i64 = "VirtualSize" omit,
        /// Storage.
        graph_driver: GraphDriver = "GraphDriver",
        /// Layers.
        root_fs: RootFs = "RootFS",
        /// What only this engine knows.
        metadata: Metadata = "Metadata",
        /// Keys in alphabetical order.
        config: Option<BTreeMap<String, Any>> = "Config" omit,
    }

    /// Layers of an image.
    pub struct RootFs = "image.RootFS" {
        /// `layers`.
        kind: String = "Type",
        /// Digests, bottom first.
        layers: Option<Vec<String>> = "Layers" omit,
    }

    /// What only this engine knows about an image.
    pub struct Metadata = "image.Metadata" {
        /// RFC 3339; year 1 when never.
        last_tag_time: String = "LastTagTime" omit,
    }

    /// One row of `GET /images/{name}/history`.
    pub struct History = "image.HistoryResponseItem" {
        /// Comment.
        comment: String = "Comment",
        /// Seconds since 1970.
        created: i64 = "Created",
        /// The instruction.
        created_by: String = "CreatedBy",
        /// With algorithm, or `<missing>`.
        id: String = "Id",
        /// Bytes of the step.
        size: i64 = "Size",
        /// Names.
        tags: Option<Vec<String>> = "Tags",
    }

    /// One line of `DELETE /images/{name}`: one of the two is set.
    pub struct Deleted = "image.DeleteResponse" {
        /// An image or a layer.
        deleted: String = "Deleted" omit,
        /// A name.
        untagged: String = "Untagged" omit,
    }

    /// Answer of `POST /images/prune`.
    pub struct Pruned = "image.PruneReport" {
        /// What is gone.
        images_deleted: Option<Vec<Deleted>> = "ImagesDeleted",
        /// Bytes.
        space_reclaimed: u64 = "SpaceReclaimed",
    }

    /// Answer of `POST /commit`.
    pub struct Committed = "container.CommitResponse" {
        /// With algorithm.
        id: String = "Id",
    }

    /// `GET /distribution/{name}/json`.
    pub struct Distribution = "registry.DistributionInspect" {
        /// What the name means.
        descriptor: Descriptor = "Descriptor",
        /// What it runs on.
        platforms: Option<Vec<Any>> = "Platforms",
    }

    /// A document in a registry.
    pub struct Descriptor = "ocispec.Descriptor" {
        /// Kind.
        media_type: String = "mediaType",
        /// With algorithm.
        digest: String = "digest",
        /// Bytes.
        size: i64 = "size",
    }

    /// One row of `GET /images/search`.
    pub struct SearchResult = "registry.SearchResult" {
        /// Stars.
        star_count: i64 = "star_count",
        /// Docker's own.
        is_official: bool = "is_official",
        /// Name.
        name: String = "name",
        /// Always `false` by now.
        is_automated: bool = "is_automated",
        /// One line.
        description: String = "description",
    }

    /// `X-Registry-Auth`, and the body of `POST /auth`.
    pub struct AuthConfig = "registry.AuthConfig" {
        /// User.
        username: String = "username" omit,
        /// Password.
        password: String = "password" omit,
        /// Both in base64.
        auth: String = "auth" omit,
        /// Registry.
        server_address: String = "serveraddress" omit,
        /// Fetches tokens.
        identity_token: String = "identitytoken" omit,
        /// For the registry itself.
        registry_token: String = "registrytoken" omit,
    }

    /// Answer of `POST /auth`.
    pub struct Authenticated = "registry.AuthenticateOKBody" {
        /// To be kept instead of the password.
        identity_token: String = "IdentityToken",
        /// A sentence.
        status: String = "Status",
    }

    /// One message of a progress stream.
    pub struct Message = "jsonmessage.JSONMessage" {
        /// Text to print as it is.
        stream: String = "stream" omit,
        /// What happens.
        status: String = "status" omit,
        /// How far it is.
        progress_detail: Option<ProgressDetail> = "progressDetail" omit,
        /// The same as a bar.
        progress: String = "progress" omit,
        /// To what.
        id: String = "id" omit,
        /// Seconds since 1970.
        time: i64 = "time" omit,
        /// Nanoseconds since 1970.
        time_nano: i64 = "timeNano" omit,
        /// Why it ended.
        error_detail: Option<ErrorDetail> = "errorDetail" omit,
        /// The same as text.
        error: String = "error" omit,
        /// Results (`{"ID": …}`) between the texts.
        aux: Option<Any> = "aux" omit,
    }

    /// How far a step is.
    pub struct ProgressDetail = "jsonmessage.JSONProgress" {
        /// Done.
        current: i64 = "current" omit,
        /// All.
        total: i64 = "total" omit,
        /// Unix seconds of the begin.
        start: i64 = "start" omit,
    }

    /// Why a stream ended.
    pub struct ErrorDetail = "jsonmessage.JSONError" {
        /// Exit code of a build step.
        code: i64 = "code" omit,
        /// A sentence.
        message: String = "message" omit,
    }
}
