use tokio::sync::mpsc;

use crate::{SessionEvent, protocol::Inner};

/// Tells that a session is over, whichever way it ends: also where its future is dropped.
pub(super) struct Leaving {
    events: mpsc::Sender<SessionEvent>,
    pub(super) event: Option<SessionEvent>,
}

impl Leaving {
    pub(super) fn new(inner: &Inner, event: SessionEvent) -> Self {
        Self { events: inner.config.events.clone(), event: Some(event) }
    }

    pub(super) async fn tell(mut self) {
        // Taken only once there is room: until then the event is still this guard's to tell.
        if let Ok(room) = self.events.clone().reserve().await
            && let Some(event) = self.event.take()
        {
            room.send(event);
        }
        self.event = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let Some(event) = self.event.take() else { return };
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let events = self.events.clone();
            runtime.spawn(async move { events.send(event).await });
        }
    }
}
