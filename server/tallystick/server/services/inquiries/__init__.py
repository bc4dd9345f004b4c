"""Inquiries: credit histories that members query (tallystick.v1.InquiryService)."""
