//! From a request to plans, and what they come to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rcompose_model::Project;
use rcompose_model::project::PullPolicy;
use rcompose_plan::{
    BuildRequest, BuildWhen, Change, Down, ImageRemoval, ImageRequest, Lifecycle, Observed, OneOff, Operation, Plan, PlanError,
    Recreate, Run as RunOnce, Up, builds, changes, down, images, lifecycle, one_off_name, pushes, run, up,
};

use super::{Events, Run, execute, interrupted, progress, seconds, tell};
use crate::messages::{
    Action, ApplyRequest, BuildOptions, DownOptions, Event, Failure, LifecycleVerb, ProgressStatus, PullOptions, PushOptions,
    RunOptions, UpOptions,
};
use crate::supervisor::Supervisor;

/// Does what is asked for; everything that happens goes to `events`, the last of which says how it ended.
pub(crate) async fn apply(supervisor: Arc<Supervisor>, request: ApplyRequest, events: Events) {
    let cancel = supervisor.cancellation_of(&request.ticket);
    let lock = supervisor.lock_of(&request.project_name);
    let guard = if let Ok(guard) = lock.try_lock() {
        guard
    } else {
        let text = format!("waiting for another command on project {}", request.project_name);
        tell(&events, Event::Warning { text }).await;
        tokio::select! {
            // Whoever waits no more has no place in the queue.
            guard = lock.lock() => guard,
            () = cancel.cancelled() => {
                supervisor.done_with(&request.ticket);
                return tell(&events, Event::Failed(interrupted())).await;
            }
        }
    };
    let failures = match &request.action {
        Action::Up(options) => bring_up(&supervisor, &request, options, &events).await,
        Action::Down(options) => take_down(&supervisor, &request, options, &events).await,
        Action::Run(options) => make_one_off(&supervisor, &request, options, &events).await,
        Action::Build(options) => build_images(&supervisor, &request, options, &events).await,
        Action::Pull(options) => pull(&supervisor, &request, options, &events).await,
        Action::Push(options) => push(&supervisor, &request, options, &events).await,
        Action::Lifecycle { services, what, timeout } => {
            let observed = supervisor.observe(&request.project_name, request.project.as_ref());
            let plan = lifecycle(&observed, services, &verb(what, *timeout));
            let failures = run_plan(&supervisor, &request, plan, &events).await;
            match (what, request.project.clone().or_else(|| supervisor.applied(&request.project_name))) {
                (LifecycleVerb::Start { wait: true, wait_timeout }, Some(project)) if failures.is_empty() && !request.dry_run => {
                    let services = services.clone();
                    let options = UpOptions { services, wait_timeout: *wait_timeout, ..UpOptions::default() };
                    wait(&supervisor, &request, &project, &options, &events).await
                }
                _ => failures,
            }
        }
    };
    drop(guard);
    supervisor.done_with(&request.ticket);
    let last = match failures.into_iter().next() {
        Some(failure) => Event::Failed(failure),
        None => Event::Done,
    };
    tell(&events, last).await;
    drop(events);
    // A large stack took much for a moment; nobody waits for this.
    let _ = tokio::task::spawn_blocking(rcompose_engine::trim_memory).await;
}

fn refused(error: &PlanError) -> Failure {
    let mut failure = Failure::of(error);
    failure.place = error.place().map(ToString::to_string);
    failure.hint = error.hint();
    failure
}

async fn run_plan(
    supervisor: &Arc<Supervisor>,
    request: &ApplyRequest,
    plan: Result<Plan, PlanError>,
    events: &Events,
) -> Vec<Failure> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => return vec![refused(&error)],
    };
    for text in plan.warnings() {
        tell(events, Event::Warning { text: text.clone() }).await;
    }
    if request.dry_run {
        show(&plan, Vec::new(), events).await;
        return Vec::new();
    }
    if supervisor.cancellation_of(&request.ticket).is_cancelled() {
        return vec![interrupted()];
    }
    execute(supervisor, plan, request, events).await
}

/// Shows a plan instead of carrying it out.
async fn show(plan: &Plan, changes: Vec<Change>, events: &Events) {
    let (text, operations) = (plan.to_string(), plan.graph().node_count());
    tell(events, Event::Plan { text, operations, changes }).await;
}

/// Shows what would come of an `up`, images included.
async fn show_up(project: &Project, wanted: &ImageRequest, observed: &Observed, plan: &Plan, events: &Events) -> Vec<Failure> {
    for text in plan.warnings() {
        tell(events, Event::Warning { text: text.clone() }).await;
    }
    match images(project, wanted) {
        Ok(images) => show(plan, changes(&[&images, plan], project, observed), events).await,
        Err(error) => return vec![refused(&error)],
    }
    Vec::new()
}

async fn bring_up(supervisor: &Arc<Supervisor>, request: &ApplyRequest, options: &UpOptions, events: &Events) -> Vec<Failure> {
    let Some(project) = &request.project else { return vec![no_files()] };
    let wanted = ImageRequest {
        services: options.services.clone(),
        no_deps: options.no_deps,
        policy: options.pull.clone(),
        build: options.build,
        ignore_buildable: false,
    };
    let failures = ensure_images(supervisor, request, project, &wanted, events).await;
    if !failures.is_empty() {
        return failures;
    }
    let observed = supervisor.observe(&project.name, Some(project));
    let plan = up(project, &observed, &up_request(options));
    let mut running: Vec<String> = Vec::new();
    if let Ok(plan) = &plan {
        running = untouched(&observed, plan);
    }
    if !request.dry_run {
        supervisor.remember(&merged_ledger(supervisor, project));
    }
    for name in running {
        progress(events, &format!("Container {name}"), "Running", ProgressStatus::Done).await;
    }
    if let (true, Ok(plan)) = (request.dry_run, &plan) {
        return show_up(project, &wanted, &observed, plan, events).await;
    }
    let failures = run_plan(supervisor, request, plan, events).await;
    if failures.is_empty() && options.wait {
        return wait(supervisor, request, project, options, events).await;
    }
    failures
}

fn no_files() -> Failure {
    Failure::text("no configuration file provided: not found")
}

/// What is planned next looks at the images: they have to be there before.
async fn ensure_images(
    supervisor: &Arc<Supervisor>,
    request: &ApplyRequest,
    project: &Project,
    wanted: &ImageRequest,
    events: &Events,
) -> Vec<Failure> {
    if request.dry_run {
        return Vec::new();
    }
    run_plan(supervisor, request, images(project, wanted), events).await
}

/// Makes a container for one command, after what its service depends on came up; the last event but one names it.
async fn make_one_off(
    supervisor: &Arc<Supervisor>,
    request: &ApplyRequest,
    options: &RunOptions,
    events: &Events,
) -> Vec<Failure> {
    let Some(project) = &request.project else { return vec![no_files()] };
    let wanted = ImageRequest {
        services: vec![options.service.clone()],
        no_deps: options.no_deps,
        policy: options.pull.clone(),
        build: options.build,
        ignore_buildable: false,
    };
    let failures = ensure_images(supervisor, request, project, &wanted, events).await;
    if !failures.is_empty() {
        return failures;
    }
    let slug = match rcompose_engine::random_hex(32) {
        Ok(slug) => slug,
        Err(error) => return vec![Failure::of(&error)],
    };
    let name = options.name.clone().unwrap_or_else(|| one_off_name(project, &options.service, &slug));
    let wanted = RunOnce {
        service: options.service.clone(),
        one_off: OneOff {
            name: name.clone(),
            slug,
            tty: options.tty,
            interactive: options.interactive,
            use_aliases: options.use_aliases,
        },
        no_deps: options.no_deps,
        remove_orphans: options.remove_orphans,
    };
    let observed = supervisor.observe(&project.name, Some(project));
    if !request.dry_run {
        // The service itself is as it was: what this one container has of its own is not to be compared with.
        let mut dependencies = project.clone();
        dependencies.services.remove(&options.service);
        supervisor.remember(&merged_ledger(supervisor, &dependencies));
    }
    let failures = run_plan(supervisor, request, run(project, &observed, &wanted), events).await;
    if let Some(container) = supervisor.engine.find(&name).filter(|_| failures.is_empty()) {
        tell(events, Event::Made { id: container.record.id.to_string(), name }).await;
    }
    failures
}

/// Builds images, or only looks at what would build them.
async fn build_images(
    supervisor: &Arc<Supervisor>,
    request: &ApplyRequest,
    options: &BuildOptions,
    events: &Events,
) -> Vec<Failure> {
    let Some(project) = &request.project else { return vec![no_files()] };
    let wanted = BuildRequest {
        services: options.services.clone(),
        with_dependencies: options.with_dependencies,
        push: options.push && !options.check,
    };
    let plan = builds(project, &wanted);
    if plan.as_ref().is_ok_and(Plan::is_empty) {
        tell(events, Event::Warning { text: "No services to build".to_owned() }).await;
        return Vec::new();
    }
    match plan {
        Ok(plan) if options.check => check_builds(supervisor, project, &plan, request.offline, events).await,
        plan => run_plan(supervisor, request, plan, events).await,
    }
}

async fn check_builds(
    supervisor: &Arc<Supervisor>,
    project: &Project,
    plan: &Plan,
    offline: bool,
    events: &Events,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    for planned in plan.graph().node_weights() {
        let Operation::BuildImage { service, .. } = &planned.operation else { continue };
        match crate::build::check(supervisor, project, &project.services[service], offline, events).await {
            Ok(0) => {
                progress(events, &format!("Service {service}"), "Check complete, no warnings found", ProgressStatus::Done).await
            }
            Ok(1) => failures.push(Failure::text(format!("service `{service}`: check found 1 problem"))),
            Ok(count) => failures.push(Failure::text(format!("service `{service}`: check found {count} problems"))),
            Err(failure) => failures.push(failure),
        }
    }
    failures
}

async fn pull(supervisor: &Arc<Supervisor>, request: &ApplyRequest, options: &PullOptions, events: &Events) -> Vec<Failure> {
    let Some(project) = &request.project else { return vec![no_files()] };
    let policy = options.policy.clone().unwrap_or(PullPolicy::Always);
    let wanted = ImageRequest {
        services: options.services.clone(),
        no_deps: !options.include_deps,
        policy: Some(policy),
        build: BuildWhen::Never,
        ignore_buildable: options.ignore_buildable,
    };
    let failures = run_plan(supervisor, request, images(project, &wanted), events).await;
    if options.ignore_failures { as_warnings(failures, events).await } else { failures }
}

async fn push(supervisor: &Arc<Supervisor>, request: &ApplyRequest, options: &PushOptions, events: &Events) -> Vec<Failure> {
    let Some(project) = &request.project else { return vec![no_files()] };
    let wanted = ImageRequest {
        services: options.services.clone(),
        no_deps: !options.include_deps,
        policy: None,
        build: BuildWhen::Never,
        ignore_buildable: false,
    };
    let failures = run_plan(supervisor, request, pushes(project, &wanted), events).await;
    if options.ignore_failures { as_warnings(failures, events).await } else { failures }
}

async fn as_warnings(failures: Vec<Failure>, events: &Events) -> Vec<Failure> {
    for failure in failures {
        tell(events, Event::Warning { text: failure.message }).await;
    }
    Vec::new()
}

/// What was applied for services that are not part of this run stays known.
fn merged_ledger(supervisor: &Supervisor, project: &Project) -> Project {
    let mut ledger = project.clone();
    for (name, service) in supervisor.applied(&project.name).map(|it| it.services).unwrap_or_default() {
        ledger.services.entry(name).or_insert(service);
    }
    ledger
}

async fn wait(
    supervisor: &Arc<Supervisor>,
    request: &ApplyRequest,
    project: &Project,
    options: &UpOptions,
    events: &Events,
) -> Vec<Failure> {
    let run = Run {
        supervisor: supervisor.clone(),
        project: Some(project.clone()),
        project_name: project.name.clone(),
        command: String::new(),
        stopped: BTreeSet::new(),
        offline: true,
        events: events.clone(),
        build: BuildOptions::default(),
        substitute_ports: false,
        cancel: supervisor.cancellation_of(&request.ticket),
    };
    let cancel = run.cancel.clone();
    let settled = async {
        tokio::select! {
            // It has changed nothing.
            result = run.settle(&options.services) => result,
            () = cancel.cancelled() => Err(interrupted()),
        }
    };
    let result = match options.wait_timeout.filter(|seconds| *seconds > 0) {
        Some(limit) => match tokio::time::timeout(Duration::from_secs(limit), settled).await {
            Ok(result) => result,
            Err(_) => Err(Failure::text(format!("application not healthy after {limit}s"))),
        },
        None => settled.await,
    };
    result.err().into_iter().collect()
}

/// Containers that run and that the plan leaves alone.
fn untouched(observed: &rcompose_plan::Observed, plan: &Plan) -> Vec<String> {
    let text = plan.to_string();
    let alive = observed.containers.iter().filter(|container| container.state.is_alive());
    alive.filter(|container| !text.contains(&format!("`{}`", container.name))).map(|container| container.name.clone()).collect()
}

fn up_request(options: &UpOptions) -> Up {
    let recreate = match (options.force_recreate, options.no_recreate) {
        (true, _) => Recreate::Always,
        (false, true) => Recreate::Never,
        (false, false) => Recreate::Changed,
    };
    Up {
        services: options.services.clone(),
        no_deps: options.no_deps,
        no_start: options.no_start,
        recreate,
        recreate_dependencies: if options.always_recreate_deps { Recreate::Always } else { Recreate::Changed },
        remove_orphans: options.remove_orphans,
        ignore_orphans: options.ignore_orphans,
        renew_anonymous_volumes: options.renew_anonymous_volumes,
        scale: options.scale.clone(),
        timeout: seconds(options.timeout),
    }
}

async fn take_down(supervisor: &Arc<Supervisor>, request: &ApplyRequest, options: &DownOptions, events: &Events) -> Vec<Failure> {
    let name = &request.project_name;
    let observed = supervisor.observe(name, request.project.as_ref());
    let wanted = Down {
        services: options.services.clone(),
        remove_orphans: options.remove_orphans,
        volumes: options.volumes,
        images: options.images.as_deref().map(|which| if which == "all" { ImageRemoval::All } else { ImageRemoval::Local }),
        timeout: seconds(options.timeout),
    };
    let plan = down(name, request.project.as_ref(), &observed, &wanted);
    if plan.as_ref().is_ok_and(Plan::is_empty) && options.services.is_empty() {
        tell(events, Event::Warning { text: format!("No resource found to remove for project \"{name}\".") }).await;
    }
    let failures = run_plan(supervisor, request, plan, events).await;
    if failures.is_empty() && !request.dry_run && supervisor.containers(Some(name)).is_empty() {
        supervisor.forget(name);
        if let Err(error) = supervisor.engine.remove_logs(name) {
            tracing::warn!(%error, project = name, "logs could not be removed");
        }
    }
    failures
}

fn verb(what: &LifecycleVerb, timeout: Option<i64>) -> Lifecycle {
    let timeout = seconds(timeout);
    match what {
        LifecycleVerb::Start { .. } => Lifecycle::Start,
        LifecycleVerb::Stop => Lifecycle::Stop { timeout },
        LifecycleVerb::Restart { no_deps } => Lifecycle::Restart { timeout, no_deps: *no_deps },
        LifecycleVerb::Kill { signal } => Lifecycle::Kill { signal: signal.clone() },
        LifecycleVerb::Pause => Lifecycle::Pause,
        LifecycleVerb::Unpause => Lifecycle::Unpause,
        LifecycleVerb::Remove { stop, volumes } => Lifecycle::Remove { stop: *stop, volumes: *volumes },
    }
}
