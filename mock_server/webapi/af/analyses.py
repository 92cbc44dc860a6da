"""Analyses and their rules as PI Web API shows them."""

from typing import Any

from mock_server.af.framework import Analysis
from mock_server.af.ids import Kind
from mock_server.webapi.af import replies
from mock_server.webapi.call import Call


def analysis_json(call: Call, analysis: Analysis) -> dict[str, Any]:
    """An analysis."""
    library = call.plant.assets.library
    spec = analysis.spec
    made = replies.links(call, "analyses", analysis, "Categories")
    made |= {
        "Target": replies.link(call, "elements", analysis.element),
        "Database": replies.database_link(call),
        "Template": replies.link(call, "analysistemplates", library.analysis_templates[spec.name]),
        "AnalysisRule": replies.link(call, "analysisrules", analysis.part(Kind.ANALYSIS_RULE)),
        "TimeRule": replies.link(call, "timerules", analysis.part(Kind.TIME_RULE)),
    }
    return replies.head(call, analysis) | {
        "AnalysisRulePlugInName": spec.plugin,
        "AutoCreated": False,
        "CategoryNames": [spec.category],
        "GroupId": 0,
        "HasNotification": False,
        "HasTarget": True,
        "HasTemplate": True,
        "IsConfigured": True,
        "IsTimeRuleDefinedByTemplate": True,
        "MaximumQueueSize": 0,
        "OutputTime": "",
        "Priority": "Normal",
        "PublishResults": False,
        "Status": "Enabled",
        "TargetWebId": call.web_id(analysis.element),
        "TemplateName": spec.name,
        "TimeRulePlugInName": spec.time_rule,
        "Links": made,
    }


def analysis_rule_json(call: Call, rule: Analysis) -> dict[str, Any]:
    """What an analysis computes."""
    made = replies.links(call, "analysisrules", rule, "AnalysisRules")
    return replies.head(call, rule) | {
        "ConfigString": rule.spec.config,
        "DisplayString": rule.spec.config,
        "EditorType": "",
        "HasChildren": False,
        "IsConfigured": True,
        "IsInitializing": False,
        "PlugInName": rule.spec.plugin,
        "SupportedBehaviors": ["None"],
        "VariableMapping": rule.spec.variables,
        "Links": made | {"Analysis": replies.link(call, "analyses", rule.part(Kind.ANALYSIS))},
    }


def time_rule_json(call: Call, rule: Analysis) -> dict[str, Any]:
    """When an analysis runs."""
    return replies.head(call, rule) | {
        "ConfigString": rule.spec.schedule,
        "ConfigStringStored": rule.spec.schedule,
        "DisplayString": rule.spec.schedule,
        "EditorType": "",
        "IsConfigured": True,
        "IsInitializing": False,
        "MergeDuplicatedItems": False,
        "PlugInName": rule.spec.time_rule,
        "Links": replies.links(call, "timerules", rule)
        | {"Analysis": replies.link(call, "analyses", rule.part(Kind.ANALYSIS))},
    }
