"""The Content Security Policy of each part of the site, by the beginning of its path. Nothing loads from another site
but the images of messages; no script stands in a page anywhere."""

from core.content_policy import policy

_OWN = {"script_src": "'self'", "style_src": "'self'", "font_src": "'self'", "connect_src": "'self'"}

POLICIES: dict[str, str] = {
    "/": policy(**_OWN, img_src="'self' data:"),
    # unfold's Alpine evaluates expressions in attributes, and its widgets bring style attributes. A mail's preview is a
    # sandboxed frame that inherits this policy: its images and style attributes are those of the mail.
    "/admin/": policy(
        **{**_OWN, "script_src": "'self' 'unsafe-eval'", "style_src": "'self' 'unsafe-inline'"},
        img_src="'self' data: https:",
    ),
    # Swagger UI brings a style element and images as data.
    "/api/docs/": policy(**{**_OWN, "style_src": "'self' 'unsafe-inline'"}, img_src="'self' data:"),
}
