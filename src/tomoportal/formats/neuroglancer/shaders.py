"""Shaders of the viewer's layers; the names of their controls are those of the public portal."""

from __future__ import annotations

__all__ = ["INSTANCE_POINTS", "ORIENTED_POINTS", "POINTS", "TOMOGRAM"]

TOMOGRAM = """\
#uicontrol invlerp contrast
#uicontrol bool invert_contrast checkbox
#uicontrol invlerp contrast_3D(clamp=false)
#uicontrol bool invert_contrast_3D checkbox
#uicontrol bool hide_values_outside_limits_3D checkbox
void main() {
  float v;
  if (VOLUME_RENDERING) {
    v = contrast_3D();
    if (invert_contrast_3D) v = 1.0 - v;
    if (hide_values_outside_limits_3D && v > 1.0) v = 0.0;
    v = clamp(v, 0.0, 1.0);
    emitIntensity(v);
  } else {
    v = contrast();
    if (invert_contrast) v = 1.0 - v;
  }
  emitGrayscale(v);
}
"""

_POINT_CONTROLS = """\
#uicontrol float pointScale slider(min=0.01, max=2.0, step=0.01)
#uicontrol float opacity slider(min=0.0, max=1.0, step=0.01)
"""

_POINT_MAIN = """\
void main() {
  if (opacity == 0.0) discard;
  setColor(vec4(COLOR, opacity));
  setPointMarkerSize(pointScale * prop_diameter());
  setPointMarkerBorderWidth(0.1);
  setPointMarkerBorderColor(vec4(0.0, 0.0, 0.0, opacity));
}
"""

POINTS = _POINT_CONTROLS + _POINT_MAIN.replace("COLOR", "defaultColor()")

INSTANCE_POINTS = _POINT_CONTROLS + _POINT_MAIN.replace("COLOR", "prop_color()")

ORIENTED_POINTS = (
    _POINT_CONTROLS
    + """\
#uicontrol float lineWidth slider(min=0.01, max=4.0, step=0.01)
void main() {
  if (opacity == 0.0) discard;
  float size = pointScale * prop_diameter();
  setLineWidth(lineWidth);
  setLineColor(vec4(prop_line_color(), opacity));
  setEndpointMarkerSize(size, 0.5 * size);
  setEndpointMarkerColor(vec4(defaultColor(), opacity));
  setEndpointMarkerBorderWidth(0.1);
  setEndpointMarkerBorderColor(vec4(0.0, 0.0, 0.0, opacity));
}
"""
)
