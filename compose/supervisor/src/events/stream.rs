//! Events for one listener: those that were, then those that come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::{EventLog, now};
use crate::messages::{ContainerEvent, EventsRequest};

/// Sends what is wanted until its time is over or the other side is gone.
pub(crate) async fn send(log: Arc<EventLog>, wanted: EventsRequest, to: mpsc::Sender<ContainerEvent>) -> std::io::Result<()> {
    let (mut coming, mut last) = log.subscribe();
    if wanted.looks_back() {
        last = match replay(&log, &wanted, &to).await? {
            Some(told) => last.max(told),
            None => return Ok(()),
        };
    }
    let over = until(wanted.until);
    tokio::pin!(over);
    loop {
        let event = tokio::select! {
            // A channel that keeps what is in it, a moment, and the end of the other side: nothing is lost.
            event = coming.recv() => event,
            () = &mut over => return Ok(()),
            () = to.closed() => return Ok(()),
        };
        match event {
            Ok(event) if event.id <= last => {}
            Ok(event) => {
                last = event.id;
                if wanted.fits(&event) && to.send(event.as_ref().clone()).await.is_err() {
                    return Ok(());
                }
            }
            // It was too slow: what it has missed is on the disk.
            Err(RecvError::Lagged(_)) => {
                let missed = EventsRequest { after: Some(last.max(wanted.after.unwrap_or(0))), ..wanted.clone() };
                match replay(&log, &missed, &to).await? {
                    Some(told) => last = last.max(told),
                    None => return Ok(()),
                }
            }
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

/// Sends what was written down; gives the id of the last event, or `None` if the other side is gone.
async fn replay(log: &Arc<EventLog>, wanted: &EventsRequest, to: &mpsc::Sender<ContainerEvent>) -> std::io::Result<Option<u64>> {
    let (log, asked) = (log.clone(), wanted.clone());
    let read = tokio::task::spawn_blocking(move || log.read(&asked)).await;
    let mut last = 0;
    for event in read.map_err(std::io::Error::other)?? {
        last = event.id;
        if to.send(event).await.is_err() {
            return Ok(None);
        }
    }
    Ok(Some(last))
}

/// Waits for a moment; for ever without one.
async fn until(moment: Option<i64>) {
    match moment {
        Some(moment) => tokio::time::sleep(Duration::from_nanos(u64::try_from(moment - now()).unwrap_or(0))).await,
        None => std::future::pending().await,
    }
}
