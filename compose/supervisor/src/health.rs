//! Whether a container works: what its probes say, one after the other.

mod look;
mod probe;

use std::time::Duration;

use rcompose_engine::container::Healthcheck as Asked;
use rcompose_engine::image::ImageConfig;

pub(crate) use look::Look;
pub(crate) use probe::{Probed, Probes};

/// Whether a container works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not known yet.
    Starting,
    /// The last probe succeeded.
    Healthy,
    /// So many probes in a row failed as it takes.
    Unhealthy,
}

impl Health {
    /// As `ps` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How a container is probed; every field is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is tried.
    pub(crate) probe: Probe,
    /// From the end of a probe to the next.
    pub interval: Duration,
    /// Of one probe.
    pub timeout: Duration,
    /// Failures in a row until unhealthy.
    pub retries: u32,
    /// Failures do not count while it lasts.
    pub start_period: Duration,
    /// Interval inside the start period.
    pub start_interval: Duration,
    /// A container that becomes unhealthy is started again.
    pub restart: bool,
}

/// How it is found out whether a container works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Program and arguments, run in the container.
    Command(Vec<String>),
    /// Nothing is run in it.
    Look(Look),
}

impl std::fmt::Display for Probe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(words) => formatter.write_str(&words.join(" ")),
            Self::Look(look) => look.fmt(formatter),
        }
    }
}

impl Check {
    /// From what the service asks and what the image says; `None` without a probe.
    pub fn resolve(asked: Option<&Asked>, image: &ImageConfig) -> Option<Self> {
        let of_image = image.config.healthcheck.clone().unwrap_or_default();
        let asked = asked.cloned().unwrap_or_default();
        let test = asked.test.unwrap_or(of_image.test);
        let probe = match test.split_first() {
            Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => Probe::Command(rest.to_vec()),
            Some((kind, rest)) if kind == "CMD-SHELL" => {
                let shell = image.config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                Probe::Command([shell, vec![rest.join(" ")]].concat())
            }
            _ => Probe::Look(Look::of(&test)?),
        };
        let time = |asked: Option<Duration>, image: i64, default: u64| {
            let image = u64::try_from(image).ok().filter(|nanoseconds| *nanoseconds > 0).map(Duration::from_nanos);
            asked.filter(|time| !time.is_zero()).or(image).unwrap_or(Duration::from_secs(default))
        };
        Some(Self {
            probe,
            interval: time(asked.interval, of_image.interval, 30),
            timeout: time(asked.timeout, of_image.timeout, 30),
            retries: asked.retries.filter(|retries| *retries > 0).or(Some(of_image.retries).filter(|it| *it > 0)).unwrap_or(3),
            start_period: time(asked.start_period, of_image.start_period, 0),
            start_interval: time(asked.start_interval, of_image.start_interval, 5),
            restart: asked.restart,
        })
    }

    /// How long to wait before the next probe of a container that has run for `age`.
    pub fn wait(&self, health: Health, age: Duration) -> Duration {
        if health == Health::Starting && age < self.start_period { self.start_interval } else { self.interval }
    }

    /// What a probe changes. `began` is the age of the container when the probe began.
    pub fn judge(&self, health: Health, streak: u32, succeeded: bool, began: Duration) -> (Health, u32) {
        if succeeded {
            return (Health::Healthy, 0);
        }
        if health == Health::Starting && began < self.start_period {
            return (health, streak);
        }
        let streak = streak + 1;
        (if streak >= self.retries { Health::Unhealthy } else { health }, streak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(retries: u32, start_period: u64) -> Check {
        Check {
            probe: Probe::Command(vec!["x".to_owned()]),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            retries,
            start_period: Duration::from_secs(start_period),
            start_interval: Duration::from_secs(5),
            restart: false,
        }
    }

    #[test]
    fn one_success_heals_and_so_many_failures_make_ill() {
        let check = check(2, 0);
        let mut state = (Health::Starting, 0);
        let mut seen = Vec::new();
        for succeeded in [false, true, false, false, true] {
            state = check.judge(state.0, state.1, succeeded, Duration::from_secs(1));
            seen.push(state.0);
        }
        assert_eq!(seen, [Health::Starting, Health::Healthy, Health::Healthy, Health::Unhealthy, Health::Healthy]);
    }

    #[test]
    fn failures_of_the_start_do_not_count() {
        let check = check(1, 10);
        assert_eq!(check.judge(Health::Starting, 0, false, Duration::from_secs(3)), (Health::Starting, 0));
        assert_eq!(check.judge(Health::Starting, 0, false, Duration::from_secs(11)), (Health::Unhealthy, 1));
        assert_eq!(check.wait(Health::Starting, Duration::from_secs(3)), Duration::from_secs(5));
        assert_eq!(check.wait(Health::Healthy, Duration::from_secs(3)), Duration::from_secs(30));
    }

    #[test]
    fn absent_fields_come_from_the_image_and_then_from_the_book() {
        let mut image = ImageConfig::default();
        image.config.healthcheck = Some(rcompose_engine::image::Healthcheck {
            test: vec!["CMD-SHELL".to_owned(), "curl x".to_owned()],
            interval: 2_000_000_000,
            ..Default::default()
        });
        let resolved = Check::resolve(None, &image).unwrap();
        let command = ["/bin/sh", "-c", "curl x"].map(str::to_owned).to_vec();
        assert_eq!((resolved.probe, resolved.interval.as_secs(), resolved.retries), (Probe::Command(command), 2, 3));
        let off = Asked { test: Some(vec!["NONE".to_owned()]), ..Asked::default() };
        assert_eq!(Check::resolve(Some(&off), &image), None);
    }
}
