//! Waiting for what others depend on.

use std::collections::BTreeMap;

use rcompose_engine::State;
use rcompose_model::project::Condition;
use rcompose_plan::labels;

use super::{Run, progress, tell};
use crate::health::Health;
use crate::keep::{Phase, Status};
use crate::messages::{Event, Failure, ProgressStatus};

impl Run {
    /// Waits until the containers of a service fulfil a condition.
    pub(super) async fn wait_for(&self, service: &str, condition: Condition, required: bool) -> Result<(), Failure> {
        let waited = self.wait_for_all(service, condition).await;
        match waited {
            Err(failure) if !required => {
                let text = format!("optional dependency {service}: {}", failure.message);
                tell(&self.events, Event::Warning { text }).await;
                Ok(())
            }
            other => other,
        }
    }

    async fn wait_for_all(&self, service: &str, condition: Condition) -> Result<(), Failure> {
        let is_replica = |label: &BTreeMap<String, String>| {
            label.get(labels::SERVICE).map(String::as_str) == Some(service)
                && label.get(labels::ONE_OFF).map(String::as_str) != Some("True")
        };
        let containers = self.supervisor.containers(Some(&self.project_name));
        for container in containers.iter().filter(|container| is_replica(&container.record.spec.labels)) {
            let (id, name) = (container.record.id.to_string(), &container.record.spec.name);
            let label = format!("Container {name}");
            progress(&self.events, &label, "Waiting", ProgressStatus::Working).await;
            let reached = match condition {
                Condition::ServiceStarted => continue,
                Condition::ServiceHealthy => match self.wait_healthy(&id, name).await {
                    Ok(()) => Ok("Healthy"),
                    Err(failure) => {
                        Err(Failure { message: format!("dependency failed to start: {}", failure.message), ..failure })
                    }
                },
                Condition::ServiceCompletedSuccessfully => self.wait_completed(&id, service, container).await,
            };
            match reached {
                Ok(word) => progress(&self.events, &label, word, ProgressStatus::Done).await,
                Err(failure) => {
                    progress(&self.events, &label, "Error", ProgressStatus::Error).await;
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Waits until a container is healthy; an error says what became of it instead.
    async fn wait_healthy(&self, id: &str, name: &str) -> Result<(), Failure> {
        let gone = || Failure::text(format!("container {name} is not running"));
        let mut changes = self.supervisor.keeper.subscribe(id).ok_or_else(gone)?;
        let settled = |status: &Status| {
            status.health.is_none_or(|health| health != Health::Starting) || matches!(status.phase, Phase::Exited { .. })
        };
        let status = loop {
            let status = *changes.borrow_and_update();
            if settled(&status) {
                break status;
            }
            if status.failing > 0 {
                self.tell_probe(id, name).await;
            }
            changes.changed().await.map_err(|_| gone())?;
        };
        let text = match (status.phase, status.health) {
            (Phase::Exited { code }, _) => format!("container {name} exited ({code})"),
            (_, Some(Health::Healthy)) => return Ok(()),
            (_, Some(_)) => format!("container {name} is unhealthy"),
            (_, None) => format!("container {name} has no healthcheck configured"),
        };
        Err(self.failed(id, text))
    }

    /// What the last probe said, which is why it is still waited for.
    async fn tell_probe(&self, id: &str, name: &str) {
        let Some(probed) = self.supervisor.keeper.probed(id) else { return };
        let line = probed.output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
        let status = probed.code.map(|code| format!("status {code}")).unwrap_or_default();
        let text = [format!("probe {} failed", probed.streak), status, line].join(": ").replace(": : ", ": ");
        tell(&self.events, Event::Detail { id: format!("Container {name}"), text: text.trim_end_matches(": ").to_owned() }).await;
    }

    /// A failure with all that is known of the container behind it.
    pub(super) fn failed(&self, id: &str, text: String) -> Failure {
        Failure { card: crate::card::of(&self.supervisor, id).map(Box::new), ..Failure::text(text) }
    }

    async fn wait_completed(
        &self,
        id: &str,
        service: &str,
        container: &rcompose_engine::Container,
    ) -> Result<&'static str, Failure> {
        self.supervisor.keeper.wait_ended(id).await;
        let state = self.supervisor.engine.get(id).map_or_else(|_| container.state.clone(), |it| it.state);
        match state {
            State::Exited(record) if record.code == 0 => Ok("Exited"),
            State::Exited(record) => {
                Err(self.failed(id, format!("service \"{service}\" didn't complete successfully: exit {}", record.code)))
            }
            _ => Err(Failure::text(format!("service \"{service}\" didn't complete"))),
        }
    }

    /// Waits until every container that the plan is about is healthy, or runs where it has no health check.
    pub(super) async fn settle(&self, services: &[String]) -> Result<(), Failure> {
        for container in self.supervisor.containers(Some(&self.project_name)) {
            let label = |name: &str| container.record.spec.labels.get(name).cloned().unwrap_or_default();
            let named = services.is_empty() || services.contains(&label(labels::SERVICE));
            if !named || label(labels::ONE_OFF) == "True" {
                continue;
            }
            let (id, name) = (container.record.id.to_string(), container.record.spec.name.clone());
            let Some(status) = self.supervisor.keeper.status(&id) else { continue };
            let progress_id = format!("Container {name}");
            match (status.phase, status.health) {
                (Phase::Exited { code }, _) => {
                    return Err(self.failed(&id, format!("container {name} exited ({code})")));
                }
                (_, None) => progress(&self.events, &progress_id, "Healthy", ProgressStatus::Done).await,
                (_, Some(_)) => {
                    progress(&self.events, &progress_id, "Waiting", ProgressStatus::Working).await;
                    self.wait_healthy(&id, &name).await?;
                    progress(&self.events, &progress_id, "Healthy", ProgressStatus::Done).await;
                }
            }
        }
        Ok(())
    }
}
