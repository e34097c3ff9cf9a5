"""People, instances, workflows, generations and their events, the position in the journal, images; and the local owner."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from advanced_alchemy.types import GUID, DateTimeUTC
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR
from uuid_utils.compat import uuid7

revision = "0001"
down_revision = None

# Whose everything is in open access; sidecar/accounts/models.py knows it by this id.
LOCAL_OWNER_ID = UUID("00000000-0000-7000-8000-000000000001")


def upgrade() -> None:
    make_plans()
    make_users()
    make_groups()
    make_credentials()
    make_audit_entries()
    make_instances()
    make_paces()
    make_workflows()
    make_generations()
    make_shares()
    make_generation_events()
    make_search()
    make_idempotency_keys()
    make_journal_positions()
    make_images()
    make_catalog()
    make_rules()
    make_counters()
    make_usage_entries()
    make_address_salts()


def downgrade() -> None:
    if on_postgresql():
        op.execute("DROP FUNCTION learn_search_words CASCADE")
    else:
        op.drop_table("search_index")
    for table in (
        "address_salts",
        "usage_entries",
        "counters",
        "rule_hits",
        "rules",
        "catalog_version",
        "listings",
        "model_instances",
        "models",
        "images",
        "journal_positions",
        "idempotency_keys",
        "search_words",
        "search_entries",
        "generation_events",
        "stops",
        "queue_pause",
        "shares",
        "generations",
        "workflows",
        "paces",
        "instances",
        "audit_entries",
        "known_addresses",
        "log_in_failures",
        "invites",
        "api_tokens",
        "sessions",
        "group_members",
        "groups",
        "plan_overrides",
        "users",
        "plans",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_to_change_audit_entries")


def make_plans() -> None:
    plans = op.create_table(
        "plans",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("generations_per_hour", sa.Integer()),
        sa.Column("generations_per_day", sa.Integer()),
        sa.Column("gpu_seconds_per_day", sa.Integer()),
        sa.Column("running_at_once", sa.Integer()),
        sa.Column("waiting_at_most", sa.Integer()),
        sa.Column("pixels_at_most", sa.Integer()),
        sa.Column("batch_at_most", sa.Integer()),
        sa.Column("steps_at_most", sa.Integer()),
        sa.Column("frames_at_most", sa.Integer()),
        sa.Column("storage_bytes", sa.BigInteger()),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("over_limit", sa.String(8), nullable=False),
        sa.Column("sensitivity", sa.String(8), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_plans"),
    )
    begin = datetime.now(timezone.utc)
    op.bulk_insert(plans, [{**dict(zip(PLAN_COLUMNS, plan)), "sensitivity": "medium", "updated_at": begin} for plan in PLANS])


HOUR_S = 3600
MEGAPIXEL = 1024**2
GIB = 1024**3
PLAN_COLUMNS = (
    "name", "title", "generations_per_hour", "generations_per_day", "gpu_seconds_per_day", "running_at_once", "waiting_at_most",
    "pixels_at_most", "batch_at_most", "steps_at_most", "frames_at_most", "storage_bytes", "weight", "over_limit",
)
PLANS = (
    ("free", "Free", 10, 50, HOUR_S, 1, 10, 2 * MEGAPIXEL, 4, 60, 81, 2 * GIB, 1.0, "reject"),
    ("standard", "Standard", 60, 500, 4 * HOUR_S, 2, 200, 4 * MEGAPIXEL, 8, 100, 161, 20 * GIB, 2.0, "wait"),
    ("premium", "Premium", 300, 3000, 12 * HOUR_S, 4, 1000, 16 * MEGAPIXEL, 16, 150, 481, 200 * GIB, 4.0, "wait"),
    ("unlimited", "Unlimited", None, None, None, None, None, None, None, None, None, None, 4.0, "wait"),
)


def make_users() -> None:
    users = op.create_table(
        "users",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("comparable_name", sa.String(300), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(60), nullable=False),
        sa.Column("password_hash", sa.String(200)),
        sa.Column("disabled_at", DateTimeUTC(timezone=True)),
        sa.Column("credentials_changed_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("comparable_name", name="uq_users_comparable_name"),
        sa.ForeignKeyConstraint(["plan"], ["plans.name"], name="fk_users_plan_plans"),
    )
    op.create_index("ix_users_plan", "users", ["plan"])
    op.create_index("ix_users_credentials_changed_at", "users", ["credentials_changed_at"])
    begin = datetime.now(timezone.utc)
    local_owner = {"id": LOCAL_OWNER_ID, "name": "local", "comparable_name": "LOCAL", "role": "admin"}
    times = {"credentials_changed_at": begin, "created_at": begin}
    op.bulk_insert(users, [{**local_owner, "plan": "unlimited", **times}])


def make_groups() -> None:
    op.create_table(
        "plan_overrides",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("user_id", GUID(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True)),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("created_by", GUID()),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plan_overrides"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_plan_overrides_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_plan_overrides_user_id", "plan_overrides", ["user_id"])
    op.create_index("ix_plan_overrides_expires_at", "plan_overrides", ["expires_at"])
    op.create_table(
        "groups",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("comparable_name", sa.String(300), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.UniqueConstraint("comparable_name", name="uq_groups_comparable_name"),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", GUID(), nullable=False),
        sa.Column("user_id", GUID(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_group_members"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name="fk_group_members_group_id_groups", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_group_members_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"])


def make_credentials() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("user_id", GUID(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("seen_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("ends_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users"),
        sa.UniqueConstraint("secret_hash", name="uq_sessions_secret_hash"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])
    op.create_table(
        "api_tokens",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("user_id", GUID(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True)),
        sa.Column("used_at", DateTimeUTC(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_tokens_user_id_users"),
        sa.UniqueConstraint("secret_hash", name="uq_api_tokens_secret_hash"),
    )
    op.create_index("ix_api_tokens_user_id", "api_tokens", ["user_id"])
    op.create_table(
        "invites",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(60), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.UniqueConstraint("code_hash", name="uq_invites_code_hash"),
    )
    op.create_table(
        "log_in_failures",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_log_in_failures"),
    )
    op.create_index("ix_log_in_failures_last_at", "log_in_failures", ["last_at"])
    op.create_table(
        "known_addresses",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("last_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_known_addresses"),
    )
    op.create_index("ix_known_addresses_last_at", "known_addresses", ["last_at"])


def make_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("actor_id", GUID()),
        sa.Column("actor_name", sa.String(100), nullable=False),
        sa.Column("subject_id", GUID()),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    for column in ("actor_id", "subject_id", "action"):
        op.create_index(f"ix_audit_entries_{column.removesuffix('_id')}", "audit_entries", [column, "id"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


# Whoever gets hold of a connection of ours can add to the audit, and change nothing of what it says.
APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_entries_{event.lower()} BEFORE {event} ON audit_entries "
        "BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END"
        for event in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_to_change_audit_entries() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit entries are never changed'; END $$",
        "CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_audit_entries()",
    ],
}


def make_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("url", sa.String(400), nullable=False),
        sa.Column("wanted", sa.String(16), nullable=False),
        sa.Column("from_settings", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("comfyui_version", sa.String(60), nullable=False),
        sa.Column("pack_version", sa.String(60), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("directories", sa.JSON(), nullable=False),
        sa.Column("checkpoint", sa.String(400), nullable=False),
        sa.Column("virtual_time", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("rests_until", DateTimeUTC(timezone=True)),
        sa.Column("set_aside_at", DateTimeUTC(timezone=True)),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
        sa.UniqueConstraint("url", name="uq_instances_url"),
    )


def make_paces() -> None:
    op.create_table(
        "paces",
        sa.Column("instance_id", GUID(), nullable=False),
        sa.Column("checkpoint", sa.String(400), nullable=False),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("base_s", sa.Float(), nullable=False),
        sa.Column("s_per_work", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("least", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "checkpoint", name="pk_paces"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_paces_instance_id_instances"),
    )


def make_workflows() -> None:
    op.create_table(
        "workflows",
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("node_classes", sa.JSON(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_workflows"),
    )


def make_generations() -> None:
    op.create_table(
        "generations",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("owner_id", GUID(), nullable=False),
        sa.Column("person_id", GUID(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("favourite", sa.Boolean(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=False),
        sa.Column("checkpoint", sa.String(400), nullable=False),
        sa.Column("loras", sa.JSON(), nullable=False),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("batch_size", sa.Integer()),
        sa.Column("sampler", sa.JSON(), nullable=False),
        sa.Column("work", sa.Float(), nullable=False),
        sa.Column("workflow_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("submission", sa.JSON(), nullable=False),
        sa.Column("client_id", sa.String(200)),
        sa.Column("heard_at", DateTimeUTC(timezone=True)),
        sa.Column("parent_id", GUID()),
        sa.Column("child_count", sa.Integer(), nullable=False),
        sa.Column("instance_id", GUID()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", DateTimeUTC(timezone=True)),
        sa.Column("waiting_reason", sa.JSON()),
        sa.Column("memory_freed", sa.Boolean(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("run_is_over", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("cancel_reason", sa.String(200)),
        sa.Column("error_code", sa.String(60)),
        sa.Column("error", sa.JSON()),
        sa.Column("gpu_seconds", sa.Float()),
        sa.Column("left_files", sa.Boolean(), nullable=False),
        sa.Column("charged_s", sa.Float()),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("submitted_at", DateTimeUTC(timezone=True)),
        sa.Column("started_at", DateTimeUTC(timezone=True)),
        sa.Column("finished_at", DateTimeUTC(timezone=True)),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("review", sa.String(16)),
        sa.Column("trashed_at", DateTimeUTC(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
        sa.UniqueConstraint("number", name="uq_generations_number"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_generations_owner_id_users"),
        sa.ForeignKeyConstraint(["workflow_hash"], ["workflows.hash"], name="fk_generations_workflow_hash_workflows"),
        sa.ForeignKeyConstraint(["parent_id"], ["generations.id"], name="fk_generations_parent_id_generations"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_generations_instance_id_instances"),
    )
    newest_first = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("ix_generations_owner_newest", "generations", ["owner_id", *newest_first])
    op.create_index("ix_generations_owner_state", "generations", ["owner_id", "state", *newest_first])
    op.create_index("ix_generations_owner_checkpoint", "generations", ["owner_id", "checkpoint", *newest_first])
    op.create_index("ix_generations_workflow", "generations", ["workflow_hash"])
    owner_newest = ["owner_id", *newest_first]
    is_favourite = {"where": "favourite = 1", "postgresql_where": "favourite"}
    make_partial_index("ix_generations_favourites", "generations", owner_newest, **is_favourite)
    make_partial_index("ix_generations_in_trash", "generations", owner_newest, where="trashed_at IS NOT NULL")
    of_parent = ["parent_id", *owner_newest]
    make_partial_index("ix_generations_parent", "generations", of_parent, where="parent_id IS NOT NULL")
    reviewed = ["review", sa.text("id DESC")]
    make_partial_index("ix_generations_review", "generations", reviewed, where="review IS NOT NULL")
    make_partial_index("ix_generations_trashed", "generations", ["trashed_at"], where="trashed_at IS NOT NULL")
    in_flight = "state IN ('submitted', 'running')"
    make_partial_index("ix_generations_in_flight", "generations", ["instance_id"], where=in_flight)
    held = "state = 'pending' AND not_before IS NOT NULL"
    make_partial_index("ix_generations_held_until", "generations", ["state", "not_before"], where=held)
    waiting = ["person_id", sa.text("priority DESC"), "turn", "not_before", "checkpoint", "work"]
    if on_postgresql():
        make_partial_index("ix_generations_waiting_people", "generations", waiting, where="state = 'pending'")
    else:
        make_partial_index("ix_generations_waiting", "generations", ["state", *waiting], where="state = 'pending'")
    make_partial_index("ix_generations_charged", "generations", ["state"], where="charged_s IS NOT NULL")


def make_shares() -> None:
    op.create_table(
        "shares",
        sa.Column("person_id", GUID(), nullable=False),
        sa.Column("tag", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("is_waiting", sa.Boolean(), nullable=False),
        sa.Column("waiting_since", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("turn_since", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("passed_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_shares"),
    )
    line = ["tag", "turn_since", "person_id"]
    make_partial_index("ix_shares_waiting", "shares", line, where="is_waiting = 1", postgresql_where="is_waiting")
    op.create_table(
        "queue_pause",
        sa.Column("queue", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("since", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("queue", name="pk_queue_pause"),
    )
    op.create_table(
        "stops",
        sa.Column("owner_id", GUID(length=16), nullable=False),
        sa.Column("through", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name="pk_stops"),
    )


def make_partial_index(
    name: str, table: str, columns: list[Any], *, where: str, postgresql_where: str | None = None
) -> None:
    op.create_index(
        name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(postgresql_where or where)
    )


def make_generation_events() -> None:
    op.create_table(
        "generation_events",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("generation_id", GUID(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation_events"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name="fk_generation_events_generation_id_generations"
        ),
    )
    op.create_index("ix_generation_events_generation_id", "generation_events", ["generation_id"])


def make_search() -> None:
    moment = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    word = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    op.create_table(
        "search_entries",
        sa.Column("moment", moment, autoincrement=False, nullable=False),
        sa.Column("generation_id", GUID(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("moment", name="pk_search_entries"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name="fk_search_entries_generation_id_generations"
        ),
        sa.UniqueConstraint("generation_id", name="uq_search_entries_generation_id"),
    )
    op.create_table(
        "search_words", sa.Column("word", word, nullable=False), sa.PrimaryKeyConstraint("word", name="pk_search_words")
    )
    if on_postgresql():
        op.create_index("ix_search_entries_words", "search_entries", ["words"], postgresql_using="gin")
        learn_words_on_postgresql()
    else:
        make_fts5()


# What generations are found by besides their texts begins with the first character of private use (sidecar/generations/words.py),
# and the second stands between two texts: these are nobody's words.


def make_fts5() -> None:
    """An index over the entries' words, which keeps no second copy of them; kept true by triggers, as the words are."""
    op.execute("""
        CREATE VIRTUAL TABLE search_index
        USING fts5(words, content='search_entries', content_rowid='moment', columnsize=0, tokenize='ascii')""")
    forget = "INSERT INTO search_index(search_index, rowid, words) VALUES ('delete', old.moment, old.words);"
    index = "INSERT INTO search_index(rowid, words) VALUES (new.moment, new.words);"
    learn = """
        INSERT INTO search_words
        SELECT value FROM json_each('["' || replace(new.words, ' ', '","') || '"]')
        WHERE substr(value, 1, 1) NOT IN (char(0xE000), char(0xE001))
        ON CONFLICT DO NOTHING;"""
    for event, statements in (("INSERT", [index, learn]), ("UPDATE", [forget, index, learn]), ("DELETE", [forget])):
        op.execute(
            f"CREATE TRIGGER search_entries_{event.lower()} AFTER {event} ON search_entries "
            f"BEGIN {' '.join(statements)} END"
        )


def learn_words_on_postgresql() -> None:
    op.execute("""
        CREATE FUNCTION learn_search_words() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO search_words
            SELECT word FROM unnest(tsvector_to_array(new.words)) AS word WHERE left(word, 1) <> U&'\\E000'
            ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$""")
    op.execute("""
        CREATE TRIGGER search_entries_learn AFTER INSERT OR UPDATE ON search_entries
        FOR EACH ROW EXECUTE FUNCTION learn_search_words()""")


def on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def make_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner_id", GUID(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("generation_id", GUID(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_idempotency_keys_owner_id_users"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name="fk_idempotency_keys_generation_id_generations"
        ),
    )
    op.create_index("ix_idempotency_keys_generation_id", "idempotency_keys", ["generation_id"])
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def make_journal_positions() -> None:
    op.create_table(
        "journal_positions",
        sa.Column("journal", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name="pk_journal_positions"),
    )


def make_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("generation_id", GUID(), nullable=False),
        sa.Column("owner_id", GUID(), nullable=False),
        sa.Column("node_id", sa.String(200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file", sa.JSON(), nullable=False),
        sa.Column("loose_file", sa.String(64)),
        sa.Column("reported", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("is_withheld", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("storage_key", sa.String(200)),
        sa.Column("media_type", sa.String(60)),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("etag", sa.String(64)),
        sa.Column("thumbhash", sa.String(64)),
        sa.Column("thumbnails", sa.JSON(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("kept_at", DateTimeUTC(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name="fk_images_generation_id_generations"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_images_owner_id_users"),
        sa.UniqueConstraint("generation_id", "node_id", "position", name="uq_images_place"),
    )
    op.create_index("ix_images_owner_bytes", "images", ["owner_id", "bytes"])
    make_partial_index("ix_images_expected", "images", ["generation_id"], where="state = 'expected'")
    make_partial_index("ix_images_loose_file", "images", ["loose_file"], where="loose_file IS NOT NULL")


def make_catalog() -> None:
    op.create_table(
        "models",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("comparable_name", sa.String(400), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("first_seen", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("last_seen", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("kind", "comparable_name", name="uq_models_kind_name"),
    )
    op.create_table(
        "model_instances",
        sa.Column("model_id", GUID(), nullable=False),
        sa.Column("instance_id", GUID(), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "instance_id", name="pk_model_instances"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_model_instances_model_id_models"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_model_instances_instance_id_instances"),
    )
    op.create_index("ix_model_instances_instance_id", "model_instances", ["instance_id"])
    op.create_table(
        "listings",
        sa.Column("instance_id", GUID(), nullable=False),
        sa.Column("node_classes", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("samplers", sa.JSON(), nullable=False),
        sa.Column("schedulers", sa.JSON(), nullable=False),
        sa.Column("listed_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name="pk_listings"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_listings_instance_id_instances"),
    )
    versions = op.create_table(
        "catalog_version",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_catalog_version"),
    )
    op.bulk_insert(versions, [{"name": "catalog", "version": 0}])


# Off until somebody switches them on: what is right for one place is wrong for another.
RULES = (
    ("Sexual pictures of children", "low", "refuse", ["child porn*", "child nud*", "nude child*", "naked child*", "underage nud*", "loli", "lolicon", "shotacon"]),
    ("Sexual pictures", "medium", "refuse", ["porn*", "hentai", "nsfw", "nude", "nudes", "nudity", "naked", "topless", "genitals", "sex scene", "having sex"]),
    ("Cruelty", "medium", "refuse", ["gore", "gory", "beheading", "decapitat*", "dismember*", "disembowel*", "torture*", "mutilat*"]),
    ("Blood and weapons", "high", "flag", ["blood", "bloody", "bleeding", "corpse*", "gun", "guns", "rifle*", "pistol*"]),
)


def make_rules() -> None:
    rules = op.create_table(
        "rules",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("plan", sa.String(60)),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rules"),
    )
    begin = datetime.now(timezone.utc)
    always = {"kind": "content", "plan": None, "is_active": False, "created_at": begin, "updated_at": begin}
    shipped = [
        {"id": uuid7(), "name": name, "level": level, "action": action, "definition": {"words": words, "where": "prompt"}}
        for name, level, action, words in RULES
    ]
    op.bulk_insert(rules, [{**always, **rule} for rule in shipped])
    op.create_table(
        "rule_hits",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("rule_id", GUID()),
        sa.Column("rule_name", sa.String(100), nullable=False),
        sa.Column("user_id", GUID(), nullable=False),
        sa.Column("generation_id", GUID()),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("level", sa.String(8)),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("field", sa.String(200), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(32)),
        sa.Column("text", sa.Text()),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rule_hits"),
    )
    op.create_index("ix_rule_hits_user", "rule_hits", ["user_id", "id"])
    op.create_index("ix_rule_hits_rule", "rule_hits", ["rule_id", "id"])
    op.create_index("ix_rule_hits_at", "rule_hits", ["at"])


def make_counters() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "terms", "value": 0}, {"name": "purged", "value": 0}, {"name": "limits", "value": 0}])


def make_usage_entries() -> None:
    op.create_table(
        "usage_entries",
        sa.Column("id", GUID(), nullable=False),
        sa.Column("account_id", GUID(), nullable=False),
        sa.Column("generation_id", GUID(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("generations", sa.Integer(), nullable=False),
        sa.Column("gpu_ms", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_entries"),
    )
    window = ["account_id", "counted_at", "generations", "gpu_ms", "kind"]
    op.create_index("ix_usage_entries_window", "usage_entries", window)
    op.create_index("ix_usage_entries_generation", "usage_entries", ["generation_id"])
    given_back = "kind <> 'reserve'"
    make_partial_index("ix_usage_entries_given_back", "usage_entries", ["at", "account_id"], where=given_back)


def make_address_salts() -> None:
    op.create_table(
        "address_salts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("salt", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_address_salts"),
    )
