"""What people look at in a browser: the pages' style, their words for numbers, figures as SVG."""
