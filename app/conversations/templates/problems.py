"""What can go wrong with message templates."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class TemplateNotFound(NotFound):
    code = "template-not-found"
    title = "There is no such template."


class TemplateExists(Conflict):
    code = "template-exists"
    title = "The account has a template of this name and language: edit it or take another name."


class TemplateNotApproved(Conflict):
    code = "template-not-approved"
    title = "Only approved templates are sent; status says how the review of this one stands."


class TemplateNotSubmitted(Conflict):
    code = "template-not-submitted"
    title = "WhatsApp has not confirmed this template yet: synchronise, then try again."


class TemplateInvalid(Invalid):
    code = "template-invalid"
    title = "The template is not one WhatsApp accepts: correct the fields listed in errors."


class TemplateParametersInvalid(Invalid):
    code = "template-parameters-invalid"
    title = "The values do not fit the template: correct the fields listed in errors."
