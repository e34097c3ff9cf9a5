"""What the description of the API tells and the handlers do not: examples, and how each question may be refused."""

from __future__ import annotations

import json
from typing import Any

from sidecar.errors import (
    AccountDisabled,
    AdministratorThere,
    ContentRefused,
    CredentialsInvalid,
    GenonautError,
    GraphRefused,
    IdempotencyKeyReused,
    ImageCorrupt,
    ImageMissing,
    ImageNotKeptYet,
    ImageUnderReview,
    InstanceBusy,
    InstanceFromSettings,
    InstanceKnown,
    InvalidParameters,
    InviteUnknown,
    LastAdministrator,
    LimitReached,
    ModelsUnusable,
    NameTaken,
    NoLogIn,
    NotCancellable,
    NotRestorable,
    PasswordUnfit,
    PlanInUse,
    PlanKnown,
    PlanNeeded,
    PlanUnknown,
    StillEnabled,
    StillOpen,
    StillOwner,
    TooManyAttempts,
    WaitingRoomFull,
)

NOT_KEPT = (ImageNotKeptYet, ImageUnderReview, ImageMissing, ImageCorrupt)

NOT_SUBMITTED = (InvalidParameters, ModelsUnusable, ContentRefused, GraphRefused, LimitReached, WaitingRoomFull)

REFUSALS: dict[str, tuple[type[GenonautError], ...]] = {
    "log_in": (CredentialsInvalid, AccountDisabled, NoLogIn, TooManyAttempts),
    "become_first_administrator": (PasswordUnfit, CredentialsInvalid, AdministratorThere, NoLogIn),
    "look_at_invite": (InviteUnknown,),
    "accept_invite": (PasswordUnfit, InviteUnknown, NameTaken, NoLogIn),
    "change_password": (PasswordUnfit, CredentialsInvalid, NoLogIn, TooManyAttempts),
    "add_user": (PasswordUnfit, NameTaken, PlanUnknown),
    "change_user": (NameTaken, LastAdministrator, PlanUnknown),
    "delete_user": (StillEnabled, StillOwner),
    "set_password": (PasswordUnfit,),
    "make_invite": (PlanUnknown,),
    "make_plan": (PlanKnown,),
    "delete_plan": (PlanInUse, PlanNeeded),
    "make_group": (NameTaken,),
    "change_group": (NameTaken,),
    "submit_generation": (*NOT_SUBMITTED, IdempotencyKeyReused),
    "estimate_generation": (InvalidParameters,),
    "repeat_generation": (*NOT_SUBMITTED, IdempotencyKeyReused),
    "cancel_generation": (NotCancellable,),
    "trash_generation": (StillOpen,),
    "restore_generation": (NotRestorable,),
    "register_instance": (InstanceKnown,),
    "decide_review": (StillOpen,),
    "show_reviewed_image": NOT_KEPT,
    "show_reviewed_image_head": NOT_KEPT,
    "show_reviewed_thumbnail": NOT_KEPT,
    "show_reviewed_thumbnail_head": NOT_KEPT,
    "make_rule": (PlanUnknown,),
    "change_rule": (PlanUnknown,),
    "try_rules": (PlanUnknown,),
    "remove_instance": (InstanceBusy, InstanceFromSettings),
    "show_image": NOT_KEPT,
    "show_image_head": NOT_KEPT,
    "show_thumbnail": NOT_KEPT,
    "show_thumbnail_head": NOT_KEPT,
}
"""
By the name of the operation. Not here, since they follow from its form: what takes an id may not find it, and what
takes a body or a query may be asked wrongly.
"""

UNCHANGED = {"304": "It is the one that the browser has (`If-None-Match`)."}
IN_PARTS = {
    **UNCHANGED,
    "206": "The part that was asked for (`Range`).",
    "416": "There is no such part.",
}

OTHER_ANSWERS: dict[str, dict[str, str]] = {
    "list_models": UNCHANGED,
    "list_options": UNCHANGED,
    "show_image": IN_PARTS,
    "show_image_head": UNCHANGED,
    "show_thumbnail": IN_PARTS,
    "show_reviewed_image": IN_PARTS,
    "show_reviewed_image_head": UNCHANGED,
    "show_reviewed_thumbnail": IN_PARTS,
    "show_reviewed_thumbnail_head": UNCHANGED,
    "show_thumbnail_head": UNCHANGED,
}
"""Answers that are no refusals, by the name of the operation and their status: HTTP's own business."""

GENERATION_ID = "019aa3b0-5c4e-7d31-9f02-6f3a1c2b4d5e"
INSTANCE_ID = "019aa3b0-0b1c-7a53-8d10-52f0a3c1e6b7"
USER_ID = "019aa3b1-9f10-7e21-8c32-1a2b3c4d5e6f"
SESSION_ID = "019aa3b1-b0c4-7f15-9a26-7b8c9d0e1f2a"
IMAGE_ID = "019aa3b0-8e11-7c40-8a55-2d9be0c7f413"

OK: dict[str, Any] = {"state": "ok", "since": "2026-11-21T11:58:19.500000Z", "for_s": 312.9, "reason": ""}
INSTANCE: dict[str, Any] = {
    "id": INSTANCE_ID,
    "name": "upstairs",
    "url": "http://127.0.0.1:8188",
    "wanted": "active",
    "from_settings": False,
    "state": "connected",
    "since": "2026-11-21T11:58:20.004000Z",
    "reason": "",
    "comfyui_version": "0.3.75",
    "pack_version": "0.1.0",
    "devices": [{"name": "cpu", "type": "cpu", "vram_total": 16000000000, "vram_free": 9000000000}],
    "checkpoint": "sd15.safetensors",
    "in_flight": 2,
    "failures": 0,
    "set_aside_at": None,
    "rests_until": None,
    "evidence": [],
    "created_at": "2026-11-20T09:00:00.000000Z",
}
MODEL: dict[str, Any] = {
    "id": "019aa3af-9d02-7b1e-a4c3-7f6e5d4c3b2a",
    "kind": "checkpoint",
    "name": "sd15.safetensors",
    "active": True,
    "available": True,
    "instances": [INSTANCE_ID],
    "first_seen": "2026-11-20T09:30:00Z",
    "last_seen": "2026-11-21T11:58:21.350000Z",
}
REVIEW: dict[str, Any] = {
    "generation_id": GENERATION_ID,
    "review": "waiting",
    "state": "completed",
    "user_id": USER_ID,
    "prompt": "a corpse in the library",
    "negative_prompt": "",
    "checkpoint": "sd15.safetensors",
    "images": [IMAGE_ID],
    "created_at": "2026-11-21T12:00:00Z",
    "finished_at": "2026-11-21T12:00:09Z",
    "trashed_at": None,
}
RULE_ID = "019aa3b5-4c1d-7e2f-8a3b-9c4d5e6f7a8b"
RULE: dict[str, Any] = {
    "id": RULE_ID,
    "kind": "content",
    "name": "No weapons",
    "plan": None,
    "definition": {"words": ["bomb*", "hand grenade"], "patterns": [], "where": "prompt"},
    "action": "refuse",
    "level": "medium",
    "is_active": True,
    "created_at": "2026-11-20T09:00:00Z",
    "updated_at": "2026-11-20T09:00:00Z",
}
RULE_FOUND: dict[str, Any] = {
    "code": "content_refused",
    "message": "The title goes against the rule “No weapons” of this place. Change it and submit it again.",
    "action": "refuse",
    "field": "title",
    "rule_id": RULE_ID,
    "rule_name": "No weapons",
}
RULE_HIT: dict[str, Any] = {
    "id": "019aa3b5-9d2e-7f30-8b4c-0d5e6f7a8b9c",
    "rule_id": RULE_ID,
    "rule_name": "No weapons",
    "user_id": USER_ID,
    "generation_id": None,
    "action": "refuse",
    "level": "medium",
    "code": "content_refused",
    "field": "6.text",
    "text_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "text": None,
    "at": "2026-11-21T12:00:00Z",
}
IMAGE: dict[str, Any] = {
    "id": IMAGE_ID,
    "generation_id": GENERATION_ID,
    "position": 0,
    "state": "kept",
    "width": 512,
    "height": 512,
    "bytes": 398123,
    "media_type": "image/png",
    "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "thumbnails": ["small", "medium", "large"],
}
PARAMETERS: dict[str, Any] = {
    "prompt": "a lighthouse at dawn",
    "negative_prompt": "blurry",
    "checkpoint": "sd15.safetensors",
    "loras": [{"name": "watercolour.safetensors", "strength_model": 0.8, "strength_clip": 0.8}],
    "width": 512,
    "height": 512,
    "steps": 20,
}
WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "blue"}},
}
GENERATION: dict[str, Any] = {
    "id": GENERATION_ID,
    "number": 17,
    "state": "completed",
    "cancel_requested": False,
    "title": "Lighthouse",
    "tags": ["sea"],
    "waiting": None,
    "waiting_reason": None,
    "review": None,
    "not_before": None,
    **{name: PARAMETERS[name] for name in ("prompt", "negative_prompt", "checkpoint", "loras", "width", "height")},
    "batch_size": 1,
    "sampler": {
        "seed": 42,
        "steps": 20,
        "cfg": 7.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    },
    "source": "api",
    "place": None,
    "progress": None,
    "error": None,
    "images": [IMAGE],
    "favourite": False,
    "parent_id": None,
    "child_count": 0,
    "gpu_seconds": 3.2,
    "created_at": "2026-11-21T12:00:00.120000Z",
    "submitted_at": "2026-11-21T12:00:00.131000Z",
    "started_at": "2026-11-21T12:00:00.140000Z",
    "finished_at": "2026-11-21T12:00:03.340000Z",
    "updated_at": "2026-11-21T12:00:03.512000Z",
    "trashed_at": None,
}

USER: dict[str, Any] = {
    "id": USER_ID,
    "name": "Ada",
    "role": "member",
    "plan": "standard",
    "disabled": False,
    "has_password": True,
    "created_at": "2026-11-20T09:00:00Z",
}
ME: dict[str, Any] = {
    **{name: USER[name] for name in ("id", "name", "role", "plan")},
    "scopes": ["read", "submit"],
    "access": "accounts",
    "session_id": SESSION_ID,
}
SESSION: dict[str, Any] = {
    "id": SESSION_ID,
    "is_current": True,
    "address": "192.0.2.17",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "created_at": "2026-11-21T09:00:00Z",
    "seen_at": "2026-11-21T11:58:00Z",
    "ends_at": "2026-12-21T09:00:00Z",
}
TOKEN: dict[str, Any] = {
    "id": "019aa3b2-4411-7d0a-b6a1-0d1c2b3a4f5e",
    "name": "my script",
    "scopes": ["read", "submit"],
    "created_at": "2026-11-21T10:00:00Z",
    "expires_at": "2027-11-21T10:00:00Z",
    "used_at": None,
}
INVITE: dict[str, Any] = {
    "id": "019aa3b3-7c20-7a44-8d55-5e6f7a8b9c0d",
    "role": "member",
    "plan": "standard",
    "uses_left": 3,
    "expires_at": "2026-11-28T12:00:00Z",
    "created_at": "2026-11-21T12:00:00Z",
}
LIMITS: dict[str, Any] = {
    "generations_per_hour": 10,
    "generations_per_day": 50,
    "gpu_seconds_per_day": 3600,
    "running_at_once": 1,
    "waiting_at_most": 10,
    "pixels_at_most": 2097152,
    "batch_at_most": 4,
    "steps_at_most": 60,
    "frames_at_most": 81,
    "storage_bytes": 2147483648,
    "weight": 1.0,
    "over_limit": "reject",
    "sensitivity": "off",
}
PLAN: dict[str, Any] = {
    "name": "free",
    "title": "Free",
    "limits": LIMITS,
    "people": 12,
    "updated_at": "2026-11-20T09:00:00Z",
}
A_DAY_MORE: dict[str, Any] = {
    "limits": {"generations_per_day": 200, "steps_at_most": None},
    "expires_at": "2026-11-28T12:00:00Z",
    "reason": "exhibition on Friday",
}
OVERRIDE: dict[str, Any] = {
    "id": "019aa3b5-3d4e-7f60-a1b2-c3d4e5f60718",
    **A_DAY_MORE,
    "created_by": "019aa3b4-2222-7c2d-9e3f-4a5b6c7d8e9f",
    "created_at": "2026-11-21T12:00:00Z",
}
CLASS_BUDGET: dict[str, Any] = {
    "generations_per_hour": None,
    "generations_per_day": 500,
    "gpu_seconds_per_day": None,
    "storage_bytes": None,
}
GROUP: dict[str, Any] = {
    "id": "019aa3b5-7a8b-7c9d-8e0f-1a2b3c4d5e6f",
    "name": "Class 7b",
    "limits": CLASS_BUDGET,
    "members": 24,
    "created_at": "2026-11-20T09:00:00Z",
    "updated_at": "2026-11-20T09:00:00Z",
}
QUOTA: dict[str, Any] = {
    "plan": "free",
    "over_limit": "reject",
    "limits": [
        {
            "name": "generations_per_hour",
            "used": 10,
            "allowed": 10,
            "unit": "generations",
            "window_s": 3600,
            "refills_at": "2026-11-21T12:58:00Z",
            "next_free_at": "2026-11-21T12:14:30Z",
            "group": None,
        },
        {
            "name": "pixels_at_most",
            "used": None,
            "allowed": 2097152,
            "unit": "pixels",
            "window_s": None,
            "refills_at": None,
            "next_free_at": None,
            "group": None,
        },
        {
            "name": "generations_per_day",
            "used": 412,
            "allowed": 500,
            "unit": "generations",
            "window_s": 86400,
            "refills_at": "2026-11-22T11:58:00Z",
            "next_free_at": None,
            "group": "Class 7b",
        },
    ],
    "waiting": {"count": 2, "held_until": None, "reason": None, "why": None},
}
USAGE: dict[str, Any] = {
    "begins_at": "2026-11-20T00:00:00Z",
    "ends_at": "2026-11-22T00:00:00Z",
    "by": "day",
    "items": [
        {"key": "2026-11-21", "submitted": 12, "generations": 10, "gpu_seconds": 81.25},
        {"key": "2026-11-20", "submitted": 3, "generations": 3, "gpu_seconds": 22.5},
    ],
}
CODE = "3q2-7wQb0JmXk1mB6v9oYt5rZc8dLhUeFgSaPiNxK4E"
FOUR_WORDS = "four unlikely lamps sing"

EXAMPLES: dict[str, list[Any]] = {
    "AccuracyList": [
        {
            "items": [
                {
                    "checkpoint": "sd15.safetensors",
                    "instance": "upstairs",
                    "count": 412,
                    "median_ratio": 1.02,
                    "near": 0.94,
                }
            ]
        }
    ],
    "Forecast": [
        {
            "seconds": 6.4,
            "low_s": 5.8,
            "high_s": 7.6,
            "basis": "20 generations like this on upstairs.",
            "of_day": [
                {"limit": "generations_per_day", "part": 0.02, "group": None},
                {"limit": "gpu_seconds_per_day", "part": 0.0018, "group": None},
            ],
            "outcome": "enters",
            "held_until": None,
            "reason": None,
            "why": None,
            "refusal": None,
            "own_before": 1,
            "others_before": 2,
            "people_before": 1,
            "starts_at": {
                "likely": "2026-11-21T12:00:25Z",
                "earliest": "2026-11-21T12:00:21Z",
                "latest": "2026-11-21T12:00:33Z",
            },
            "ends_at": {
                "likely": "2026-11-21T12:00:31Z",
                "earliest": "2026-11-21T12:00:27Z",
                "latest": "2026-11-21T12:00:41Z",
            },
        }
    ],
    "LogInRequest": [{"name": "Ada", "password": FOUR_WORDS}],
    "Me": [ME],
    "PasswordChange": [{"current": FOUR_WORDS, "new": "seven slow trains to nowhere"}],
    "NewPasswordOf": [{"password": FOUR_WORDS}],
    "SessionList": [{"items": [SESSION]}],
    "NewToken": [{"name": "my script", "scopes": ["read", "submit"], "expires_at": "2027-11-21T10:00:00Z"}],
    "TokenList": [{"items": [TOKEN]}],
    "TokenMade": [{"token": TOKEN, "secret": f"gno_{CODE}"}],
    "InviteTerms": [{"role": "member", "expires_at": INVITE["expires_at"]}],
    "InviteCode": [{"code": CODE}],
    "Acceptance": [{"code": CODE, "name": "Ada", "password": FOUR_WORDS}],
    "FirstAcceptance": [{"secret": CODE, "name": "Ada", "password": FOUR_WORDS}],
    "UserView": [USER],
    "AlteredUser": [{**USER, "disabled": True, "cancelled": 3, "interrupted": 1}],
    "UserPage": [{"items": [USER], "next_cursor": None}],
    "NewUser": [{"name": "Ada", "password": FOUR_WORDS}],
    "UserPatch": [{"role": "guest"}, {"disabled": True}],
    "NewInvite": [{"role": "member", "uses": 3}],
    "InviteList": [{"items": [INVITE]}],
    "InviteMade": [{"invite": INVITE, "code": CODE, "path": f"/genonaut/login#invite={CODE}"}],
    "AuditPage": [
        {
            "items": [
                {
                    "id": "019aa3b4-0a1b-7c2d-9e3f-4a5b6c7d8e9f",
                    "at": "2026-11-21T12:00:00Z",
                    "action": "account_disabled",
                    "actor_id": "019aa3b4-2222-7c2d-9e3f-4a5b6c7d8e9f",
                    "actor_name": "Grace",
                    "subject_id": USER_ID,
                    "address": "192.0.2.17",
                    "details": {},
                }
            ],
            "next_cursor": None,
        }
    ],
    "PlanView": [PLAN],
    "PlanList": [{"items": [PLAN]}],
    "NewPlan": [{"name": "workshop", "title": "Workshop", "like": "free", "limits": {"generations_per_hour": 30}}],
    "PlanPatch": [{"limits": {"generations_per_day": 100, "steps_at_most": None}}],
    "OverrideView": [OVERRIDE],
    "OverrideList": [{"items": [OVERRIDE]}],
    "NewOverride": [A_DAY_MORE],
    "GroupView": [GROUP],
    "GroupPage": [{"items": [GROUP], "next_cursor": None}],
    "NewGroup": [{"name": "Class 7b", "limits": {"generations_per_day": 500}}],
    "GroupPatch": [{"limits": {"generations_per_day": 800}}],
    "MemberPage": [{"items": [{"id": USER_ID, "name": "Ada"}], "next_cursor": None}],
    "QuotaView": [QUOTA],
    "UsageView": [USAGE],
    "Submission": [
        {"parameters": PARAMETERS, "title": "Lighthouse", "tags": ["sea"]},
        {"workflow": WORKFLOW},
    ],
    "GenerationView": [GENERATION],
    "GenerationPage": [{"items": [GENERATION], "next_cursor": "WyIyMDI2LTExLTIxIl0"}],
    "Timeline": [
        {
            "items": [
                {"state": "pending", "at": GENERATION["created_at"], "reason": ""},
                {"state": "cancelled", "at": GENERATION["finished_at"], "reason": ""},
            ]
        }
    ],
    "Repeat": [{"parameters": {"seed": "random"}}, {"parameters": {"prompt": "a lighthouse at dusk"}, "tags": ["sea"]}],
    "GenerationPatch": [{"title": "Lighthouse, third try", "favourite": True}],
    "BulkAction": [{"action": "tag", "ids": [GENERATION_ID], "tags": ["sea"]}],
    "BulkOutcomes": [
        {
            "outcomes": [
                {"id": GENERATION_ID, "done": True, "code": None, "message": None},
                {
                    "id": IMAGE_ID,
                    "done": False,
                    "code": "not_found",
                    "message": "There is no generation with this id.",
                },
            ]
        }
    ],
    "WorkflowView": [{"workflow": WORKFLOW, "ui_workflow": None}],
    "ModelPage": [{"items": [MODEL], "next_cursor": None}],
    "ModelView": [MODEL],
    "ModelChange": [{"active": False}],
    "OptionsView": [{"samplers": ["euler", "dpmpp_2m"], "schedulers": ["normal", "karras"]}],
    "Refreshed": [
        {
            "instances": [
                {
                    "id": INSTANCE_ID,
                    "name": "127.0.0.1:8188",
                    "state": "listed",
                    "reason": "",
                    "models": 312,
                    "added": 1,
                    "vanished": 0,
                }
            ]
        }
    ],
    "Verdict": [{"decision": "release"}],
    "ReviewView": [REVIEW],
    "ReviewPage": [{"items": [REVIEW], "next_cursor": None}],
    "NewRule": [
        {
            "kind": "content",
            "name": "No weapons",
            "definition": {"words": ["bomb*", "hand grenade"]},
            "level": "medium",
        },
        {"kind": "graph", "name": "No files", "definition": {"refused_nodes": ["@files"]}, "plan": "free"},
    ],
    "RulePatch": [{"is_active": False}],
    "RuleView": [RULE],
    "RuleList": [{"items": [RULE]}],
    "Trial": [{"text": "a b0mb", "plan": "free"}],
    "TrialResult": [{"verdict": "refused", "found": [RULE_FOUND]}],
    "RuleHitPage": [{"items": [RULE_HIT], "next_cursor": None}],
    "Life": [{"state": "live", "version": "0.1.0"}],
    "NewInstance": [{"url": "http://127.0.0.1:8189", "name": "upstairs"}],
    "InstancePatch": [{"wanted": "draining"}],
    "InstanceView": [INSTANCE],
    "InstanceList": [{"items": [INSTANCE]}],
    "QueuePatch": [{"paused": True, "reason": "We change the disks until noon."}, {"paused": False}],
    "QueueView": [
        {
            "paused": True,
            "reason": "We change the disks until noon.",
            "since": "2026-11-21T11:30:00Z",
            "waiting": 12,
            "in_flight": 0,
        }
    ],
    "Health": [
        {
            "ready": True,
            "version": "0.1.0",
            "database": OK,
            "queue": OK,
            "storage": OK,
            "instances": [
                {
                    "id": INSTANCE["id"],
                    "name": "upstairs",
                    "url": "http://127.0.0.1:8188",
                    "state": "connected",
                    "wanted": "active",
                    "since": "2026-11-21T11:58:20.004000Z",
                    "for_s": 312.4,
                    "version": "0.3.75",
                    "reason": "",
                }
            ],
            "waiting": {"generations": 3, "estimated_s": 21.5},
        }
    ],
    "Problem": [
        {
            "type": "about:blank",
            "title": "Bad Request",
            "status": 400,
            "detail": "Some of the parameters cannot be used; each is listed with its reason.",
            "code": "invalid_parameters",
            "request_id": "019aa3b1-1b7c-7e52-b1c4-90ad3f5e6b20",
            "errors": [
                {"field": "width", "code": "out_of_range", "message": "Must be a multiple of 8 between 16 and 8192."}
            ],
        }
    ],
}
"""Of what goes in and out, by the name of its schema."""

IN_TURN = {
    "id": GENERATION_ID,
    "place": 3,
    "waiting": {
        "own_before": 1,
        "others_before": 2,
        "people_before": 1,
        "held_until": None,
        "starts_at": None,
        "reason": {"code": "turns", "facts": {"own": 1, "others": 2, "people": 1}},
        "why": "Turns are shared: 1 of your own and 2 of another person will run before it.",
    },
}
EVENTS = f"""\
event: hello
data: {{}}

event: progress
data: {{"id": "{GENERATION_ID}", "progress": {{"fraction": 0.42, "node_id": "5", "node_type": "KSampler"}}}}

event: waiting
data: {json.dumps({"items": [IN_TURN], "count": 1})}

event: quota_warning
data: {{"limit": "generations_per_hour", "group": null, "percent": 80, "used": 8, "allowed": 10}}
"""
"""What an event stream looks like. The events `generation` and `quota` have a whole one as their data."""
