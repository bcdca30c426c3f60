"""The staging models: raw rows renamed, parsed, kept once, or quarantined."""

from pipeline.staging.quarantined_events import quarantined_events as quarantined_events
from pipeline.staging.quarantined_users import quarantined_users as quarantined_users
from pipeline.staging.stg_command_actives import stg_command_actives as stg_command_actives
from pipeline.staging.stg_command_results import stg_command_results as stg_command_results
from pipeline.staging.stg_commands import stg_commands as stg_commands
from pipeline.staging.stg_readings import stg_readings as stg_readings
from pipeline.staging.stg_repeated_events import stg_repeated_events as stg_repeated_events
from pipeline.staging.stg_sync_events import stg_sync_events as stg_sync_events
from pipeline.staging.stg_user_versions import stg_user_versions as stg_user_versions
from pipeline.staging.stg_users import stg_users as stg_users
