//! What a command does when it is called.

/// One per command; `dispatch` has the one `match` over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A group: shows its help.
    Group,
    /// `completion bash` and its like
    Completion,
    /// `registry`
    Registry,
    /// `system dial-stdio`
    SystemDialStdio,
    /// `container attach`
    ContainerAttach,
    /// `container commit`
    ContainerCommit,
    /// `container cp`
    ContainerCp,
    /// `container create`
    ContainerCreate,
    /// `container diff`
    ContainerDiff,
    /// `container exec`
    ContainerExec,
    /// `container export`
    ContainerExport,
    /// `container inspect`
    ContainerInspect,
    /// `container kill`
    ContainerKill,
    /// `container logs`
    ContainerLogs,
    /// `container ls`
    ContainerLs,
    /// `container pause`
    ContainerPause,
    /// `container port`
    ContainerPort,
    /// `container prune`
    ContainerPrune,
    /// `container rename`
    ContainerRename,
    /// `container restart`
    ContainerRestart,
    /// `container rm`
    ContainerRm,
    /// `container run`
    ContainerRun,
    /// `container start`
    ContainerStart,
    /// `container stats`
    ContainerStats,
    /// `container stop`
    ContainerStop,
    /// `container top`
    ContainerTop,
    /// `container unpause`
    ContainerUnpause,
    /// `container update`
    ContainerUpdate,
    /// `container wait`
    ContainerWait,
    /// `image build`
    ImageBuild,
    /// `image history`
    ImageHistory,
    /// `image import`
    ImageImport,
    /// `image inspect`
    ImageInspect,
    /// `image load`
    ImageLoad,
    /// `image ls`
    ImageLs,
    /// `image prune`
    ImagePrune,
    /// `image pull`
    ImagePull,
    /// `image push`
    ImagePush,
    /// `image rm`
    ImageRm,
    /// `image save`
    ImageSave,
    /// `image tag`
    ImageTag,
    /// `network connect`
    NetworkConnect,
    /// `network create`
    NetworkCreate,
    /// `network disconnect`
    NetworkDisconnect,
    /// `network inspect`
    NetworkInspect,
    /// `network ls`
    NetworkLs,
    /// `network prune`
    NetworkPrune,
    /// `network rm`
    NetworkRm,
    /// `network rules`
    NetworkRules,
    /// `volume create`
    VolumeCreate,
    /// `volume inspect`
    VolumeInspect,
    /// `volume ls`
    VolumeLs,
    /// `volume prune`
    VolumePrune,
    /// `volume rm`
    VolumeRm,
    /// `volume clone`
    VolumeClone,
    /// `volume export`
    VolumeExport,
    /// `volume import`
    VolumeImport,
    /// `volume rename`
    VolumeRename,
    /// `volume restore`
    VolumeRestore,
    /// `volume snapshot`
    VolumeSnapshot,
    /// `volume snapshots`
    VolumeSnapshots,
    /// `volume update`
    VolumeUpdate,
    /// `context create`
    ContextCreate,
    /// `context export`
    ContextExport,
    /// `context import`
    ContextImport,
    /// `context inspect`
    ContextInspect,
    /// `context ls`
    ContextLs,
    /// `context rm`
    ContextRm,
    /// `context show`
    ContextShow,
    /// `context update`
    ContextUpdate,
    /// `context use`
    ContextUse,
    /// `system df`
    SystemDf,
    /// `system events`
    SystemEvents,
    /// `system info`
    SystemInfo,
    /// `system prune`
    SystemPrune,
    /// `inspect`
    Inspect,
    /// `login`
    Login,
    /// `logout`
    Logout,
    /// `search`
    Search,
    /// `version`
    Version,
    /// `builder build`
    BuilderBuild,
    /// `builder prune`
    BuilderPrune,
    /// `config create`
    ConfigCreate,
    /// `config inspect`
    ConfigInspect,
    /// `config ls`
    ConfigLs,
    /// `config rm`
    ConfigRm,
    /// `node demote`
    NodeDemote,
    /// `node inspect`
    NodeInspect,
    /// `node ls`
    NodeLs,
    /// `node promote`
    NodePromote,
    /// `node ps`
    NodePs,
    /// `node rm`
    NodeRm,
    /// `node update`
    NodeUpdate,
    /// `secret create`
    SecretCreate,
    /// `secret inspect`
    SecretInspect,
    /// `secret ls`
    SecretLs,
    /// `secret rm`
    SecretRm,
    /// `service create`
    ServiceCreate,
    /// `service inspect`
    ServiceInspect,
    /// `service logs`
    ServiceLogs,
    /// `service ls`
    ServiceLs,
    /// `service ps`
    ServicePs,
    /// `service rm`
    ServiceRm,
    /// `service rollback`
    ServiceRollback,
    /// `service scale`
    ServiceScale,
    /// `service update`
    ServiceUpdate,
    /// `stack config`
    StackConfig,
    /// `stack deploy`
    StackDeploy,
    /// `stack ls`
    StackLs,
    /// `stack ps`
    StackPs,
    /// `stack rm`
    StackRm,
    /// `stack services`
    StackServices,
    /// `swarm ca`
    SwarmCa,
    /// `swarm init`
    SwarmInit,
    /// `swarm join token`
    SwarmJoinToken,
    /// `swarm join`
    SwarmJoin,
    /// `swarm leave`
    SwarmLeave,
    /// `swarm unlock key`
    SwarmUnlockKey,
    /// `swarm unlock`
    SwarmUnlock,
    /// `swarm update`
    SwarmUpdate,
    /// `checkpoint create`
    CheckpointCreate,
    /// `checkpoint ls`
    CheckpointLs,
    /// `checkpoint rm`
    CheckpointRm,
    /// `manifest annotate`
    ManifestAnnotate,
    /// `manifest create`
    ManifestCreate,
    /// `manifest inspect`
    ManifestInspect,
    /// `manifest push`
    ManifestPush,
    /// `manifest rm`
    ManifestRm,
    /// `plugin create`
    PluginCreate,
    /// `plugin disable`
    PluginDisable,
    /// `plugin enable`
    PluginEnable,
    /// `plugin inspect`
    PluginInspect,
    /// `plugin install`
    PluginInstall,
    /// `plugin ls`
    PluginLs,
    /// `plugin push`
    PluginPush,
    /// `plugin rm`
    PluginRm,
    /// `plugin set`
    PluginSet,
    /// `plugin upgrade`
    PluginUpgrade,
    /// `trust inspect`
    TrustInspect,
    /// `trust key`
    TrustKey,
    /// `trust revoke`
    TrustRevoke,
    /// `trust sign`
    TrustSign,
    /// `trust signer`
    TrustSigner,
}
