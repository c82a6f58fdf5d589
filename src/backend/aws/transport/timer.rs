//! One timer for all that a request waits for, one thing after the other.
//!
//! A timer costs more than a clock's reading, so it is made when something has to be waited for, and moved only where
//! the next thing must end sooner than it fires; one that fires too early is moved then.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// Bounds the phases of one request.
    #[derive(Debug, Default)]
    pub(super) struct Timer {
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// The time had passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elapsed;

impl Timer {
    /// What `future` ends with, unless that is still to come at `until`.
    pub(super) async fn bound<F: Future>(
        mut self: Pin<&mut Self>,
        until: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.as_mut().poll_until(until, cx).map(Err),
        })
        .await
    }

    fn poll_until(self: Pin<&mut Self>, until: Instant, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let mut sleep = self.project().sleep;
        if sleep.is_none() {
            sleep.set(Some(sleep_until(until)));
        }
        let Some(mut sleep) = sleep.as_pin_mut() else { return Poll::Pending };
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= until {
                return Poll::Ready(Elapsed);
            }
            sleep.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_phase_ends_at_its_own_time_whether_that_is_sooner_or_later_than_the_last_one_s() {
        let (began, mut timer) = (Instant::now(), pin!(Timer::default()));
        assert_eq!(timer.as_mut().bound(began + SECOND * 2, pending::<()>()).await, Err(Elapsed));
        assert_eq!(began.elapsed(), SECOND * 2);
        assert_eq!(timer.as_mut().bound(began + SECOND * 5, pending::<()>()).await, Err(Elapsed));
        assert_eq!(began.elapsed(), SECOND * 5);

        let (began, mut timer) = (Instant::now(), pin!(Timer::default()));
        assert_eq!(timer.as_mut().bound(began + SECOND * 9, tokio::time::sleep(SECOND)).await, Ok(()));
        assert_eq!(timer.as_mut().bound(began + SECOND * 2, pending::<()>()).await, Err(Elapsed));
        assert_eq!(began.elapsed(), SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_in_time_is_not_lost_to_a_deadline_of_the_same_moment() {
        let timer = pin!(Timer::default());
        assert_eq!(timer.bound(Instant::now(), ready(7)).await, Ok(7));
    }

    #[test]
    fn what_need_not_be_waited_for_makes_no_timer() {
        // Outside of a runtime a timer could not be made.
        let timer = pin!(Timer::default());
        assert_eq!(timer.bound(Instant::now(), ready(7)).now_or_never(), Some(Ok(7)));
    }
}
