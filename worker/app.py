"""The Celery application: its configuration and nothing else.

Redis is a bell. Who works on what, which attempt this is and what is due are rows in PostgreSQL,
so a message that is lost, repeated or late does no harm.
"""

from typing import Final

from celery import Celery

QUEUE: Final = "analyses"
VISIBILITY_TIMEOUT_S: Final = 24 * 3600
"""Far above any wall limit: Redis shall never hand a running analysis to a second worker."""

app = Celery("fontanelle", include=["worker.tasks"])
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    result_backend=None,
    worker_prefetch_multiplier=1,
    worker_pool="solo",
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    accept_content=["json"],
    task_serializer="json",
)
