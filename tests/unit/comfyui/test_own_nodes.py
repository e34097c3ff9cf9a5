"""Our nodes, where ComfyUI does not have them."""

from __future__ import annotations

from sidecar.comfyui.own_nodes import without_own_nodes


def test_our_save_node_becomes_comfyuis():
    """It takes the same inputs; what it writes besides the picture is made afterwards."""
    inputs = {"images": ["1", 0], "filename_prefix": "a"}
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": {}},
        "2": {"class_type": "GenonautSaveImage", "inputs": inputs},
    }

    assert without_own_nodes(workflow)["2"] == {"class_type": "SaveImage", "inputs": inputs}
    assert workflow["2"]["class_type"] == "GenonautSaveImage"


def test_what_goes_through_our_tag_node_goes_past_it():
    """Through several of them, too."""
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
        "2": {"class_type": "GenonautTagGeneration", "inputs": {"title": "a", "tags": "", "images": ["1", 0]}},
        "3": {"class_type": "GenonautTagGeneration", "inputs": {"title": "b", "tags": "", "images": ["2", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "a"}},
    }

    assert without_own_nodes(workflow) == {
        "1": workflow["1"],
        "4": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
    }


def test_nodes_that_take_from_each_other_in_a_circle_end_nowhere():
    """ComfyUI refuses such a workflow; nothing here may hang on it."""
    workflow = {
        "1": {"class_type": "GenonautTagGeneration", "inputs": {"images": ["2", 0]}},
        "2": {"class_type": "GenonautTagGeneration", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }

    assert set(without_own_nodes(workflow)) == {"3"}


def test_a_workflow_without_our_nodes_stays_as_it_is():
    """Whatever stands in it."""
    workflow = {"1": {"class_type": "Other", "inputs": {"value": [1, 2], "text": "x"}}, "2": {"class_type": "Bare"}}

    assert without_own_nodes(workflow) == workflow
