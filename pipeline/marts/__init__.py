"""The marts: facts, dimensions and metrics made from the staging models."""

from pipeline.marts.audit_dispositions import audit_dispositions as audit_dispositions
from pipeline.marts.dim_users import dim_users as dim_users
from pipeline.marts.fct_command_neighbours import (
    fct_command_neighbours as fct_command_neighbours,
)
from pipeline.marts.fct_command_readings import fct_command_readings as fct_command_readings
from pipeline.marts.fct_command_statuses import fct_command_statuses as fct_command_statuses
from pipeline.marts.met_command_outcomes import met_command_outcomes as met_command_outcomes
from pipeline.marts.met_daily_command_count_by_username import (
    met_daily_command_count_by_username as met_daily_command_count_by_username,
)
