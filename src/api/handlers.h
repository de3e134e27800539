/* handlers.h - what the rows of the table of routes call (route.c). Each ends its errand. */
#pragma once

struct errand;
typedef void errand_handler(struct errand *x);

/* agents.c (contract 2.1) */
errand_handler agents_create, agents_list, agents_get, agents_update, agents_archive,
    agents_versions;

/* environments.c (2.2) */
errand_handler environments_create, environments_list, environments_get, environments_update,
    environments_archive, environments_delete;

/* keys.c (2.2, 13) */
errand_handler environment_keys_create, environment_keys_list, environment_keys_revoke;
errand_handler api_keys_create, api_keys_list, api_keys_revoke;

/* queue.c (2.3, 4, 13) */
errand_handler queue_poll, queue_stats, queue_healthcheck, queue_list, queue_get, queue_update,
    queue_ack, queue_heartbeat, queue_stop, queue_nack, queue_requeue, queue_calls;

/* sessions.c (2.4) */
errand_handler sessions_create, sessions_list, sessions_get, sessions_update, sessions_archive,
    sessions_delete;

/* events.c and event_stream.c (2.5) */
errand_handler events_list, events_send, events_stream;

/* threads.c (2.7), resources.c (2.6) */
errand_handler threads_list, threads_get, threads_archive, threads_events, threads_stream;
errand_handler resources_list, resources_get, resources_add;

/* approvals.c and wall.c (13) */
errand_handler approvals_request, approvals_list, approvals_get, approvals_answer;
errand_handler wall_report, wall_get;

/* models.c, health.c */
errand_handler models_list, models_get;
errand_handler health_alive, health_ready, health_metrics;
