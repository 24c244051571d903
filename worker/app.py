"""The Celery application: its configuration, and how it listens.

The broker is a bell. Who works on what, which attempt this is and what is due are rows in
PostgreSQL, so a message that is lost, repeated or late does no harm.
"""

from collections.abc import Callable
from typing import Any, Final

from celery import Celery
from celery.worker import WorkController
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

QUEUE: Final = "analyses"
VISIBILITY_TIMEOUT_S: Final = 24 * 3600
"""Far above any wall limit: Redis shall never hand a running analysis to a second worker."""
RECONNECT_S: Final = 1

app = Celery("fontanelle", include=["worker.tasks"])
app.conf.update(
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_keepalive": True,
        # A connection that was cut in silence is noticed, and opened anew, within 21 s.
        "health_check_interval": 10,
    },
    result_backend=None,
    task_acks_late=True,
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    worker_concurrency=1,
    worker_consumer="worker.app:PatientConsumer",
    worker_enable_remote_control=False,
    worker_pool="solo",
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
)


class PatientConsumer(Consumer):
    """Looks for a broker that is away every second; Celery's own waits up to half a minute."""

    def ensure_connected(self, conn: Connection) -> Connection:
        self.first_connection_attempt = False
        return conn.ensure_connection(
            interval_start=RECONNECT_S,
            interval_step=0,
            interval_max=RECONNECT_S,
            callback=maybe_shutdown,
        )


def listening(broker_url: str, ready: Callable[[Any], None]) -> WorkController:
    """Return what takes messages once it is started, until `celery.worker.state` says stop.

    Parameters
    ----------
    ready
        Called when the broker was reached for the first time.
    """
    app.conf.update(broker_url=broker_url)
    # Not `app.Worker`: that takes over signals and logging. Without a second's wait for others.
    return app.WorkController(
        ready_callback=ready, without_gossip=True, without_heartbeat=True, without_mingle=True
    )
