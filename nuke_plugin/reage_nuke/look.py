"""How the panel looks: colours, measures and the style sheet. None of the logic.

Nuke's own properties panels are the model: dark grey, quiet fields, one orange.
"""

from __future__ import annotations

BACK = "#323232"
HEAD = "#3c3c3c"
FIELD = "#262626"
LINE = "#1e1e1e"
TEXT = "#cccccc"
FAINT = "#8f8f8f"
ACCENT = "#f09a36"
GOOD = "#8fbf6a"
WARN = "#e3b341"
BAD = "#e5706a"

LABEL = 78
"""Pixels of the column of labels; the longest, 'Source age', fits at 12 px."""
NUMBER = 58
"""Pixels of a numeric field."""
GAP = 6
THUMBNAIL = 58

STYLE = f"""
#reage, #reage QWidget {{ color: {TEXT}; font-size: 12px; }}
#reage, #reage #page, #reage #foot {{ background: {BACK}; }}
#reage QScrollArea {{ border: 0; background: {BACK}; }}
#reage QLabel {{ background: transparent; }}
#reage QLabel[tone="label"] {{ color: #b4b4b4; }}
#reage QLabel[tone="faint"] {{ color: {FAINT}; font-size: 11px; }}
#reage QLabel[tone="name"] {{ color: #eeeeee; font-weight: bold; }}
#reage QLabel[tone="good"] {{ color: {GOOD}; font-size: 11px; }}
#reage QLabel[tone="warn"] {{ color: {WARN}; font-size: 11px; }}
#reage QLabel[tone="bad"] {{ color: {BAD}; font-size: 11px; }}

#reage #head {{
    background: {HEAD}; border: 0; border-radius: 2px;
    padding: 4px 6px; text-align: left; font-weight: bold;
}}
#reage #head:hover {{ background: #464646; }}
#reage #brief {{ color: {FAINT}; font-size: 11px; background: transparent; }}

#reage QLineEdit, #reage QPlainTextEdit, #reage QComboBox, #reage QAbstractSpinBox {{
    background: {FIELD}; border: 1px solid {LINE}; border-radius: 2px; padding: 1px 5px; min-height: 18px;
    selection-background-color: {ACCENT}; selection-color: #1a1a1a;
}}
#reage QLineEdit:focus, #reage QComboBox:focus, #reage QAbstractSpinBox:focus, #reage QPlainTextEdit:focus {{
    border: 1px solid {ACCENT};
}}
#reage QLineEdit:disabled, #reage QComboBox:disabled, #reage QAbstractSpinBox:disabled {{
    color: #6c6c6c;
    background: #2d2d2d;
}}
#reage QLineEdit[wrong="true"] {{ border: 1px solid {BAD}; }}
#reage QComboBox::drop-down {{ border: 0; width: 16px; }}
#reage QComboBox::down-arrow {{ image: none; width: 0; height: 0;
    border-left: 4px solid {FIELD}; border-right: 4px solid {FIELD}; border-top: 5px solid {FAINT}; }}
#reage QComboBox QAbstractItemView {{ background: {FIELD}; border: 1px solid {LINE}; outline: 0;
    selection-background-color: {ACCENT}; selection-color: #1a1a1a; }}

#reage QSlider {{ min-height: 18px; }}
#reage QSlider::groove:horizontal {{ height: 2px; background: #5a5a5a; border-radius: 1px; }}
#reage QSlider::sub-page:horizontal {{ height: 2px; background: {ACCENT}; border-radius: 1px; }}
#reage QSlider::handle:horizontal {{ width: 6px; margin: -6px 0; background: #c4c4c4; border-radius: 2px; }}
#reage QSlider::handle:horizontal:hover {{ background: #ffffff; }}
#reage QSlider::sub-page:horizontal:disabled {{ background: #4a4a4a; }}
#reage QSlider::handle:horizontal:disabled {{ background: #666666; }}

#reage QPushButton, #reage QToolButton {{
    background: #4b4b4b; border: 1px solid #232323; border-radius: 2px; padding: 2px 6px; min-height: 17px;
}}
#reage QPushButton:hover, #reage QToolButton:hover {{ background: #585858; }}
#reage QPushButton:pressed, #reage QToolButton:pressed {{ background: #3a3a3a; }}
#reage QPushButton:disabled, #reage QToolButton:disabled {{ color: #6f6f6f; background: #3b3b3b; }}
#reage QToolButton:checked {{ background: {FIELD}; border: 1px solid {ACCENT}; color: {ACCENT}; }}
#reage #small {{ padding: 1px 4px; min-height: 16px; font-size: 11px; }}
#reage QToolButton[face="true"] {{ padding: 2px; font-size: 11px; }}
#reage #main {{ background: {ACCENT}; color: #1d1d1d; font-weight: bold; }}
#reage #main:hover {{ background: #ffae4d; }}
#reage #main:disabled {{ background: #57493a; color: #8a8178; }}

#reage QCheckBox {{ spacing: 6px; background: transparent; }}
#reage QCheckBox::indicator {{
    width: 12px; height: 12px;
    background: {FIELD}; border: 1px solid {LINE}; border-radius: 2px;
}}
#reage QCheckBox::indicator:hover {{ border: 1px solid {FAINT}; }}
#reage QCheckBox::indicator:checked {{ background: {ACCENT}; border: 1px solid {LINE}; }}
#reage QCheckBox:disabled {{ color: #6c6c6c; }}

#reage QProgressBar {{ background: {FIELD}; border: 0; border-radius: 2px; max-height: 5px; min-height: 5px; }}
#reage QProgressBar::chunk {{ background: {ACCENT}; border-radius: 2px; }}
#reage #foot {{ border-top: 1px solid {LINE}; }}
#reage #log {{ font-family: monospace; font-size: 10px; color: #a8a8a8; }}
#reage #notice {{ border-left: 3px solid {FAINT}; background: {FIELD}; border-radius: 2px; padding: 5px 7px; }}
#reage #notice[tone="good"] {{ border-left: 3px solid {GOOD}; color: {TEXT}; font-size: 12px; }}
#reage #notice[tone="warn"] {{ border-left: 3px solid {WARN}; color: {TEXT}; font-size: 12px; }}
#reage #notice[tone="bad"] {{ border-left: 3px solid {BAD}; color: {TEXT}; font-size: 12px; }}
#reage QListWidget {{ background: {FIELD}; border: 1px solid {LINE}; border-radius: 2px; outline: 0; }}
#reage QListWidget::item {{ padding: 2px 4px; border: 0; background: transparent; }}
#reage QListWidget::item:selected {{ padding: 2px 4px; background: #4a4036; color: {TEXT}; }}
#reage QScrollBar:vertical {{ background: {BACK}; width: 9px; margin: 0; }}
#reage QScrollBar::handle:vertical {{ background: #555555; border-radius: 3px; min-height: 24px; margin: 1px; }}
#reage QScrollBar::add-line, #reage QScrollBar::sub-line {{ height: 0; width: 0; }}
#reage QScrollBar::add-page, #reage QScrollBar::sub-page {{ background: none; }}
#reage QScrollBar:horizontal {{ background: {BACK}; height: 9px; margin: 0; }}
#reage QScrollBar::handle:horizontal {{ background: #555555; border-radius: 3px; min-width: 24px; margin: 1px; }}
"""
