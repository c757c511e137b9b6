"""How the OpenAPI document speaks of API keys. Found by drf-spectacular because the urls load it."""

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # it registers itself
    target_class = "notifications.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: "AutoSchema") -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "`ck_live_...` or `ck_test_...`, made by `manage.py create_api_key` or in the admin.",
        }

    def get_security_requirement(self, auto_schema: "AutoSchema") -> dict[str, list[str]]:
        scopes = getattr(auto_schema.view, "required_scopes", {})
        scope = scopes.get(auto_schema.method)
        return {self.name: [str(scope)] if scope else []}
